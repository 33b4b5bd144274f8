# KW-MobileNetV2 0.5x on CIFAR-10; configs/study/nuclei_pretrained.py starts from what it leaves.
# tools/study.py configs/study/cifar10_mbv2.py --jobs 2
name = 'cifar10_mbv2'
work_dir = 'work_dirs/study/cifar10_mbv2'
runs = [
    dict(name='plain', config='mbv2_cifar10.py', seeds=[0]),
    dict(name='KW 1x', config='kw_mbv2_cifar10.py', seeds=[0]),
    dict(name='KW 4x', config='kw4x_mbv2_cifar10.py', seeds=[0]),
]
baseline = 'plain'
metrics = ['accuracy/top1']
shape = (64, 64)
