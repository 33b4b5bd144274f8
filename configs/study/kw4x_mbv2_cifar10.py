# KW-MobileNetV2 0.5x 4x.
_base_ = './mbv2_cifar10.py'

model = dict(backbone=dict(type='KWMobileNetV2', budget='4x'))
# A tenth of the training, as published for MobileNetV2 (15 of 150 epochs).
custom_hooks = [*_base_.custom_hooks, dict(type='TemperatureHook', end=_base_.max_epochs / 10)]  # noqa: F821
