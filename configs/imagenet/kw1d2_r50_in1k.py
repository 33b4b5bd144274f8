_base_ = './kw1x_r50_in1k.py'
model = dict(backbone=dict(budget='1/2x'))
