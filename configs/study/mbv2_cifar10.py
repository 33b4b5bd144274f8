# MobileNetV2 0.5x, which the nuclei's detectors start from. Its strides are 32 in all, so the images are doubled.
_base_ = '../_base_/cifar10.py'

model = dict(
    backbone=dict(type='MobileNetV2', widen_factor=0.5),
    head=dict(in_channels=1280),
)
double = dict(type='Resize', scale=64)
train_pipeline = [*_base_.train_pipeline[:-1], double, _base_.train_pipeline[-1]]  # noqa: F821
test_pipeline = [*_base_.test_pipeline[:-1], double, _base_.test_pipeline[-1]]  # noqa: F821
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
