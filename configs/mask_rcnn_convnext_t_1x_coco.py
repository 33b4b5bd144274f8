# Mask R-CNN with the plain ConvNeXt-T, to compare with. Published: box AP 43.4, mask AP 39.7.
_base_ = './_base_/mask_rcnn_1x_coco.py'

checkpoint = 'checkpoints/convnext_tiny.pth'
sources = {checkpoint: 'the ConvNeXt row, plain, of the model table at https://github.com/OSVAI/KernelWarehouse'}
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmpretrain.ConvNeXt',
        arch='tiny',
        out_indices=[0, 1, 2, 3],
        drop_path_rate=0.4,
        layer_scale_init_value=1.0,
        gap_before_final_norm=False,
        init_cfg=dict(type='PublishedPretrained', checkpoint=checkpoint),
    ),
    neck=dict(in_channels=[96, 192, 384, 768]),
)

optim_wrapper = dict(
    constructor='LearningRateDecayOptimizerConstructor',
    paramwise_cfg=dict(_delete_=True, decay_rate=0.95, decay_type='layer_wise', num_layers=6),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', begin=0, end=12, by_epoch=True, milestones=[9, 11], gamma=0.1),
]
