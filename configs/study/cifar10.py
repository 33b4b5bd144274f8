# Ten methods on CIFAR-10 in one network and one recipe; docs/study.md has the protocol.
# tools/study.py configs/study/cifar10.py --jobs 2
name = 'cifar10'
work_dir = 'work_dirs/study/cifar10'
seeds = [0, 1, 2]
slow_fall = {'custom_hooks.1.end': 1.5}  # half of the epochs
# What helped most on the images held back (kw_held_back.py), and is not the paper's.
mended = {'model.backbone.method.warehouse_cfg.*.norm': 'LN', **slow_fall}
runs = [
    dict(name='plain', config='plain_cifar10.py', seeds=seeds),
    dict(name='KW 1x', config='kw1x_cifar10.py', seeds=seeds),
    dict(
        name='KW 1x, LayerNorm in attentions, tau to 0 in a half',
        config='kw1x_cifar10.py',
        seeds=seeds,
        cfg_options=mended,
    ),
    dict(name='KW 1x, tau to 0 in a half', config='kw1x_cifar10.py', seeds=[0], cfg_options=slow_fall),
    dict(
        name='KW 1x, tau held at 0.5',
        config='kw1x_cifar10.py',
        seeds=[0],
        cfg_options={'custom_hooks.1.end_value': 0.5},
    ),
    dict(name='KW 4x', config='kw4x_cifar10.py', seeds=seeds),
    dict(
        name='KW 4x, LayerNorm in attentions, tau to 0 in a half',
        config='kw4x_cifar10.py',
        seeds=[0],
        cfg_options=mended,
    ),
    dict(name='ODConv 4x', config='odconv4x_cifar10.py', seeds=seeds),
    # Its attentions have a batch norm too; it has no other norm to choose.
    dict(name='ODConv 4x, tau to 1 in a half', config='odconv4x_cifar10.py', seeds=[0], cfg_options=slow_fall),
    dict(name='DY-Conv 4x', config='dyconv4x_cifar10.py', seeds=seeds),
    dict(name='plain, parameters of KW 1x', config='plain_params_kw1x_cifar10.py', seeds=seeds),
    dict(name='plain, parameters of KW 4x', config='plain_params_kw4x_cifar10.py', seeds=[0]),
    dict(name='plain, multiply-adds of KW 1x', config='plain_madds_kw1x_cifar10.py', seeds=seeds),
    dict(name='KW 1/2x', config='kw1d2_cifar10.py', seeds=[0]),
    dict(name='SE', config='se_cifar10.py', seeds=[0]),
    dict(name='CBAM', config='cbam_cifar10.py', seeds=[0]),
    dict(name='ECA', config='eca_cifar10.py', seeds=[0]),
    dict(name='CGC', config='cgc_cifar10.py', seeds=[0]),
    dict(name='WeightNet', config='weightnet_cifar10.py', seeds=[0]),
    dict(name='CondConv', config='condconv_cifar10.py', seeds=[0]),
    dict(name='DCD', config='dcd_cifar10.py', seeds=[0]),
]
del seeds, slow_fall, mended
baseline = 'plain'
metrics = ['accuracy/top1']
shape = (32, 32)
