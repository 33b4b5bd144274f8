# KernelWarehouse, b = 1/2.
_base_ = './plain_cifar10.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='ConvertedBackbone',
        backbone=_base_.model.backbone,  # noqa: F821
        method=dict(type='KernelWarehouse', plan='resnet', budget='1/2x'),
    ),
)
# A fifteenth of the training, as published for ResNet18 (20 of 300 epochs).
custom_hooks = [*_base_.custom_hooks, dict(type='TemperatureHook', end=_base_.max_epochs / 15)]  # noqa: F821
