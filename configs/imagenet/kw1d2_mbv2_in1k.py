_base_ = './kw1d2_mbv2_w050_in1k.py'
model = dict(backbone=dict(widen_factor=1.0))
