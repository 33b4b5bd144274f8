# The same network and recipe with its convolutions in warehouses, and tau from 1 to 0 over the first third.
_base_ = './r18_digits.py'

model = dict(backbone=dict(type='KWResNet', budget='1x'))
custom_hooks = [*_base_.custom_hooks, dict(type='KWTemperatureHook', end=10)]  # noqa: F821
