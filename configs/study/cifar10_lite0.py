# Fine-tuning EfficientNet-Lite0 from its real ImageNet weights: plain, and warm-started in warehouses.
# docs/study.md has the protocol. tools/study.py configs/study/cifar10_lite0.py --jobs 2
name = 'cifar10_lite0'
work_dir = 'work_dirs/study/cifar10_lite0'
seeds = [0, 1, 2]
# The best of lite0_held_back.py.
careful = {
    'model.backbone.attention_init': 'start',
    'optim_wrapper.paramwise_cfg.custom_keys.attention.lr_mult': 0.01,
}
runs = [
    dict(name='plain', config='lite0_cifar10.py', seeds=seeds),
    dict(name='KW 1x', config='kw_lite0_cifar10.py', seeds=seeds, cfg_options=careful),
    dict(name='KW 2x', config='kw2x_lite0_cifar10.py', seeds=[0], cfg_options=careful),
    # What the weights are worth at this length.
    dict(
        name='plain, from scratch',
        config='lite0_cifar10.py',
        seeds=[0],
        cfg_options={'model.backbone': dict(_delete_=True, type='EfficientNetLite0')},
    ),
]
del seeds, careful
baseline = 'plain'
metrics = ['accuracy/top1']
shape = (96, 96)
