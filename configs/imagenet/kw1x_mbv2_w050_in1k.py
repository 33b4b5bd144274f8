_base_ = './mbv2_w050_in1k.py'
model = dict(backbone=dict(type='KWMobileNetV2', budget='1x'))
custom_hooks = [*_base_.custom_hooks, dict(type='TemperatureHook', end=15)]  # noqa: F821
