# ResNet on ImageNet.
_base_ = './in1k_300e.py'
model = dict(
    backbone=dict(type='PlainResNet', out_indices=(3,)),
    neck=dict(type='GlobalAveragePooling'),
)
