# EfficientNet-Lite0 in warehouses, b = 1, from the same weights: at tau = 1 it is the plain network.
_base_ = './lite0_cifar10.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='KWBackbone',
        backbone=dict(type='EfficientNetLite0'),
        budget='1x',
        init_cfg=dict(type='PlainPretrained', checkpoint=_base_.checkpoint),  # noqa: F821
    )
)
# lite0_held_back.py says what more it takes not to forget.
custom_hooks = [*_base_.custom_hooks, dict(type='TemperatureHook', end=_base_.max_epochs / 3)]  # noqa: F821
