# Mask R-CNN with EfficientNet-Lite0 in warehouses, b = 1, on the nuclei, from the same weights.
_base_ = './mask_rcnn_lite0_nuclei.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='KWBackbone',
        backbone=dict(type='EfficientNetLite0', out_indices=(2, 3, 4, 6)),
        budget='1x',
        init_cfg=dict(type='PlainPretrained', checkpoint=_base_.checkpoint),  # noqa: F821
    )
)
# The same part of the training as in kw_lite0_cifar10.py.
custom_hooks = [*_base_.custom_hooks, dict(type='TemperatureHook', end=_base_.max_epochs / 3)]  # noqa: F821
