_base_ = '../_base_/in1k_convnext.py'
model = dict(backbone=dict(type='KWConvNeXt', budget='1x', drop_path_rate=0.3))
custom_hooks = [*_base_.custom_hooks, dict(type='TemperatureHook', end=20)]  # noqa: F821
