# KW-MobileNetV2 0.5x 4x.
_base_ = './kw_mbv2_cifar10.py'

model = dict(backbone=dict(budget='4x'))
