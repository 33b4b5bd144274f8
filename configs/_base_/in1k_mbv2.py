# MobileNetV2 on ImageNet: RandomResizedCrop 224 and flip, nothing else.
_base_ = [
    'mmpretrain::_base_/datasets/imagenet_bs32_pil_resize.py',
    'mmpretrain::_base_/default_runtime.py',
    './runtime.py',
]
model = dict(
    type='ImageClassifier',
    backbone=dict(type='MobileNetV2'),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=1000, in_channels=1280),
)
