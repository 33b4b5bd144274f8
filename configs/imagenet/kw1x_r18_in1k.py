_base_ = './r18_in1k.py'
model = dict(backbone=dict(type='KWResNet', budget='1x', drop_path_rate=0.1))
custom_hooks = [*_base_.custom_hooks, dict(type='TemperatureHook', end=20)]  # noqa: F821
