# ResNet on ImageNet: 224 px, bicubic, RandAugment m9 std 0.5 inc 1, random erasing 0.25.
_base_ = [
    'mmpretrain::_base_/datasets/imagenet_bs64_swin_224.py',
    'mmpretrain::_base_/default_runtime.py',
    './runtime.py',
]
model = dict(
    type='ImageClassifier',
    backbone=dict(type='PlainResNet', out_indices=(3,)),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=1000),
)
