# A Panoptic FPN of mmdet with the backbone of tiny_mask_rcnn.py; tests/end_to_end/test_panoptic.py makes its data.
_base_ = './tiny_mask_rcnn.py'

things = ('disk', 'square', 'triangle', 'star', 'ring')
stuff = ('sky', 'ground')
model = dict(
    type='PanopticFPN',
    data_preprocessor=dict(pad_seg=True, seg_pad_value=255),
    semantic_head=dict(
        type='PanopticFPNHead',
        num_things_classes=5,
        num_stuff_classes=2,
        in_channels=16,
        inner_channels=16,
        norm_cfg=dict(type='GN', num_groups=4),
        loss_seg=dict(type='CrossEntropyLoss', ignore_index=255, loss_weight=0.5),
    ),
    panoptic_fusion_head=dict(type='HeuristicFusionHead', num_things_classes=5, num_stuff_classes=2),
    test_cfg=dict(
        rcnn=dict(score_thr=0.6, nms=dict(type='nms', iou_threshold=0.5, class_agnostic=True)),
        panoptic=dict(mask_overlap=0.5, stuff_area_limit=64),
    ),
)

load = [dict(type='LoadImageFromFile'), dict(type='LoadPanopticAnnotations')]
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='CocoPanopticDataset',
        data_root='panoptic/',
        ann_file='train.json',
        data_prefix=dict(img='train/', seg='train_maps/'),
        metainfo=dict(classes=things + stuff, thing_classes=things, stuff_classes=stuff),
        pipeline=[*load, dict(type='RandomFlip', prob=0.5), dict(type='PackDetInputs')],
    )
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='CocoPanopticDataset',
        data_root='panoptic/',
        ann_file='val.json',
        data_prefix=dict(img='val/', seg='val_maps/'),
        metainfo=dict(classes=things + stuff, thing_classes=things, stuff_classes=stuff),
        test_mode=True,
        pipeline=[
            *load,
            dict(type='Resize', scale=(64, 64), keep_ratio=True),
            dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
        ],
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(
    _delete_=True, type='CocoPanopticMetric', ann_file='panoptic/val.json', seg_prefix='panoptic/val_maps/'
)
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=10, val_interval=10)
optim_wrapper = dict(optimizer=dict(lr=3e-3))
custom_hooks = [dict(type='EpochSeedHook')]
randomness = dict(seed=0)
