_base_ = '../_base_/in1k_convnext.py'
model = dict(
    backbone=dict(
        drop_path_rate=0.1,
        init_cfg=[
            dict(type='TruncNormal', layer='Linear', std=0.02, bias=0.0),
            dict(type='Kaiming', layer='Conv2d'),
            dict(type='Constant', layer='LayerNorm', val=1.0, bias=0.0),
        ],
    )
)
