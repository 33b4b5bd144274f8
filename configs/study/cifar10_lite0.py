# Fine-tuning EfficientNet-Lite0 from its real ImageNet weights: plain, and warm-started in warehouses.
# docs/study.md has the protocol. tools/study.py configs/study/cifar10_lite0.py --jobs 2
name = 'cifar10_lite0'
work_dir = 'work_dirs/study/cifar10_lite0'
seeds = [0, 1, 2]
runs = [
    dict(name='plain', config='lite0_cifar10.py', seeds=seeds),
    dict(name='KW 1x', config='kw_lite0_cifar10.py', seeds=seeds),
    dict(name='KW 1x, tau held', config='kw_lite0_held_cifar10.py', seeds=[0]),
    dict(name='KW 2x', config='kw2x_lite0_cifar10.py', seeds=[0]),
    # What the weights are worth at this length.
    dict(
        name='plain, from scratch',
        config='lite0_cifar10.py',
        seeds=[0],
        cfg_options={'model.backbone': dict(_delete_=True, type='EfficientNetLite0')},
    ),
]
del seeds
baseline = 'plain'
metrics = ['accuracy/top1']
shape = (96, 96)
