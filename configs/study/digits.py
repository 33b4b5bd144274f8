# `make demo-classify`: what the study found (docs/study.md), in small, on real handwritten digits.
# tools/study.py configs/study/digits.py --jobs 2
name = 'digits'
work_dir = 'work_dirs/study/digits'
seeds = [0, 1, 2]
runs = [
    dict(name='plain', config='../demo/r18_digits.py', seeds=seeds),
    dict(name='KW 1x', config='../demo/kw1x_r18_digits.py', seeds=seeds),
    dict(
        name='KW 1x, LayerNorm in attentions',
        config='../demo/kw1x_r18_digits.py',
        seeds=seeds,
        cfg_options={'model.backbone.warehouse_cfg.*.norm': 'LN'},
    ),
    dict(
        name='KW 1x, tau held at 0.5',
        config='../demo/kw1x_r18_digits.py',
        seeds=seeds,
        cfg_options={'custom_hooks.1.end_value': 0.5},
    ),
]
del seeds
baseline = 'plain'
metrics = ['accuracy/top1']
shape = (32, 32)
