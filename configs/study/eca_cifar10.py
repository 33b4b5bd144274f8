# ECA.
_base_ = './plain_cifar10.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='ConvertedBackbone',
        backbone=_base_.model.backbone,  # noqa: F821
        method=dict(type='ECA'),
    ),
)
