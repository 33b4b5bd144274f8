# The same network and recipe with its convolutions in warehouses. The published schedule brings tau to 0 within a
# fifteenth of the training; so few iterations need a quarter of them, and those that remain to learn without it.
_base_ = './r18_digits.py'

model = dict(backbone=dict(type='KWResNet', budget='1x'))
custom_hooks = [*_base_.custom_hooks, dict(type='KWTemperatureHook', end=20)]  # noqa: F821
