# Nuclei in microscope images of many sizes (BBBC038): trained on crops of 256 x 256, tested on whole images.
data_root = 'data/nuclei/'
sources = {data_root: '`tools/get_data.py nuclei --from FOLDER` unpacks it; without --from it says where to get it'}
metainfo = dict(classes=('nucleus',), palette=[(230, 159, 0)])
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True, poly2mask=True),
    dict(type='RandomCrop', crop_type='absolute', crop_size=(256, 256), recompute_bbox=True, allow_negative_crop=True),
    # A nucleus at the edge of the crop may keep its box and nothing of its mask: a box of no width, a loss of nan.
    dict(type='FilterAnnotations', min_gt_bbox_wh=(1, 1), by_mask=True, keep_empty=False),
    dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    # Changes nothing, but mmdet asks for the scale factor that it notes.
    dict(type='Resize', scale_factor=1.0),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CocoDataset',
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
        type='CocoDataset',
        data_root=data_root,
        ann_file='annotations/instances_val.json',
        data_prefix=dict(img='val/'),
        metainfo=metainfo,
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
val_evaluator = dict(
    type='CocoMetric',
    ann_file=data_root + 'annotations/instances_val.json',
    metric=['bbox', 'segm'],
    # An image has up to 375 nuclei. The evaluation of one process counts no more than 100 detections of an image in its
    # AP, whatever proposal_nums says; that of several takes the last of these.
    proposal_nums=(100, 300, 500),
    use_mp_eval=True,
)
test_dataloader = val_dataloader
test_evaluator = val_evaluator
