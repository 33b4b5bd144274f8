_base_ = './r50_in1k.py'
model = dict(backbone=dict(type='KWResNet', budget='1x'))
custom_hooks = [*_base_.custom_hooks, dict(type='TemperatureHook', end=20)]  # noqa: F821
