# ODConv with 4 kernels.
_base_ = './plain_cifar10.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='ConvertedBackbone',
        backbone=_base_.model.backbone,  # noqa: F821
        method=dict(type='ODConv', kernels=4),
    ),
)
# A tenth of the training, as published (10 of 100 epochs).
custom_hooks = [*_base_.custom_hooks, dict(type='TemperatureHook', end=_base_.max_epochs / 10)]  # noqa: F821
