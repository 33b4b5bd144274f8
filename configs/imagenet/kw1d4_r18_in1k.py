_base_ = './kw1x_r18_in1k.py'
model = dict(backbone=dict(budget='1/4x', drop_path_rate=0.0), train_cfg=None)  # no mixup, no cutmix
