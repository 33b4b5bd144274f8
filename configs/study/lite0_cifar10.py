# EfficientNet-Lite0 from its real ImageNet weights, on a tenth of CIFAR-10 at 96 pixels.
_base_ = ['../_base_/cifar10.py', '../_base_/lite0.py']

sources = _base_.weights_source  # noqa: F821
model = dict(
    backbone=dict(
        type='EfficientNetLite0',
        init_cfg=dict(type='PublishedPretrained', checkpoint=_base_.checkpoint),  # noqa: F821
    ),
    head=dict(in_channels=1280),
)
data_preprocessor = dict(mean=[127] * 3, std=[128] * 3)  # of the weights
enlarge = dict(type='Resize', scale=96, interpolation='bicubic')
train_pipeline = [*_base_.train_pipeline[:-1], enlarge, _base_.train_pipeline[-1]]  # noqa: F821
test_pipeline = [*_base_.test_pipeline[:-1], enlarge, _base_.test_pipeline[-1]]  # noqa: F821
train_dataloader = dict(
    batch_size=32,
    dataset=dict(
        _delete_=True,
        type='KFoldDataset',
        dataset=dict(_base_.train_dataloader.dataset, pipeline=train_pipeline),  # noqa: F821
        num_splits=10,
        fold=0,
        test_mode=True,  # the fold itself, not the others
        seed=0,  # of the fold; the same images in all runs
    ),
)
val_dataloader = dict(batch_size=100, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

max_epochs = 3
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
# The best of lite0_recipe.py for the plain network on images held back.
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=0.05))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', eta_min=0, begin=0, end=max_epochs, by_epoch=True, convert_to_iter_based=True),
]
