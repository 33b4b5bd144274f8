_base_ = './kw1x_convnext_t_in1k.py'
model = dict(backbone=dict(budget='3/4x'))
