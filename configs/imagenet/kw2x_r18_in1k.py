_base_ = './kw1x_r18_in1k.py'
model = dict(backbone=dict(budget='2x'))
