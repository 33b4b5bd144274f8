# CondConv with 8 experts, the classifier too.
_base_ = './plain_cifar10.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='ConvertedBackbone',
        backbone=_base_.model.backbone,  # noqa: F821
        method=dict(type='CondConv'),
    ),
    head=dict(type='ConvertedLinearClsHead', method=dict(type='CondConv')),
)
