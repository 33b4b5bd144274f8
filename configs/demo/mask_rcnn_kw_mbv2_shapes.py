# Mask R-CNN with KW-MobileNetV2 1x, from scratch on the shapes of tools/make_shapes.py, in minutes on two CPU cores.
_base_ = '../_base_/mask_rcnn_small.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='KWMobileNetV2',
        budget='1x',
        out_indices=(1, 2, 4, 7),
    ),
    neck=dict(in_channels=[24, 32, 96, 1280]),
    roi_head=dict(bbox_head=dict(num_classes=5), mask_head=dict(num_classes=5)),
)

dataset_type = 'CocoDataset'
data_root = 'data/shapes/'
metainfo = dict(
    classes=('disk', 'square', 'triangle', 'star', 'ring'),
    palette=[(230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (204, 121, 167)],
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    # This leaves a square image of this size as it is, but mmdet needs the scale factor that it records.
    dict(type='Resize', scale=(128, 128)),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/instances_train.json',
        data_prefix=dict(img='train/'),
        metainfo=metainfo,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/instances_val.json',
        data_prefix=dict(img='val/'),
        metainfo=metainfo,
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
val_evaluator = dict(type='CocoMetric', ann_file=data_root + 'annotations/instances_val.json', metric=['bbox', 'segm'])
test_dataloader = val_dataloader
test_evaluator = val_evaluator

max_epochs = 12
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=2)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2.5e-3, weight_decay=0.05),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', eta_min=0, begin=0, end=max_epochs, by_epoch=True, convert_to_iter_based=True),
]
log_processor = dict(window_size=10)
default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(interval=max_epochs),
)
# The published schedule takes 20 epochs. This short training ends inside it, at tau = 0.4: a fall to 0 within so few
# iterations costs more AP than they can win back.
custom_hooks = [*_base_.custom_hooks, dict(type='TemperatureHook', end=20)]  # noqa: F821
randomness = dict(seed=0)
