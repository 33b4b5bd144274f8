_base_ = './kw1x_mbv2_in1k.py'
model = dict(backbone=dict(budget='4x'))
