_base_ = './kw1x_mbv2_w050_in1k.py'
model = dict(
    backbone=dict(budget='4x'),
    head=dict(loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1)),
)
