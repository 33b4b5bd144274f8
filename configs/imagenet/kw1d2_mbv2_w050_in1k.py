_base_ = './kw1x_mbv2_w050_in1k.py'
model = dict(backbone=dict(budget='1/2x'), head=dict(type='KWLinearClsHead'))
