# KW-MobileNetV2 0.5x on CIFAR-10; configs/study/nuclei_pretrained.py starts from what it leaves.
# tools/study.py configs/study/cifar10_mbv2.py --jobs 2
name = 'cifar10_mbv2'
work_dir = 'work_dirs/study/cifar10_mbv2'
# As published, gradients explode as tau falls within few steps (docs/study.md); what mends it is not the paper's.
mended = {'model.backbone.warehouse_cfg.*.norm': 'LN', 'custom_hooks.1.end': 1.5}
runs = [
    dict(name='plain', config='mbv2_cifar10.py', seeds=[0]),
    dict(
        name='KW 1x, LayerNorm in attentions, tau to 0 in a half',
        config='kw_mbv2_cifar10.py',
        seeds=[0],
        cfg_options=mended,
    ),
    dict(
        name='KW 4x, LayerNorm in attentions, tau to 0 in a half',
        config='kw4x_mbv2_cifar10.py',
        seeds=[0],
        cfg_options=mended,
    ),
    dict(name='KW 1x', config='kw_mbv2_cifar10.py', seeds=[0]),
]
del mended
baseline = 'plain'
metrics = ['accuracy/top1']
shape = (64, 64)
