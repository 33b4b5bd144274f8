# Mask R-CNN with the plain MobileNetV2 0.5x on the nuclei, from scratch, small enough for one core.
_base_ = ['../_base_/mask_rcnn_small.py', '../_base_/datasets/nuclei.py']

model = dict(
    backbone=dict(_delete_=True, type='mmpretrain.MobileNetV2', widen_factor=0.5, out_indices=(1, 2, 4, 7)),
    neck=dict(in_channels=[16, 16, 48, 1280]),
    # Half of the nuclei are at most 20 pixels wide, one in ten 9.
    rpn_head=dict(anchor_generator=dict(scales=[3])),
    roi_head=dict(bbox_head=dict(num_classes=1), mask_head=dict(num_classes=1)),
    train_cfg=dict(
        rpn=dict(sampler=dict(num=256)),
        rpn_proposal=dict(nms_pre=500, max_per_img=300),
        rcnn=dict(sampler=dict(num=96, pos_fraction=0.4)),
    ),
    test_cfg=dict(rpn=dict(nms_pre=1000, max_per_img=1000), rcnn=dict(max_per_img=500)),
)

max_epochs = 12
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=4)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    paramwise_cfg=dict(flat_decay_mult=0.0, custom_keys={'basis_bias': dict(decay_mult=0.0)}),
    clip_grad=dict(max_norm=10),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', eta_min=0, begin=0, end=max_epochs, by_epoch=True, convert_to_iter_based=True),
]
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=1, max_keep_ckpts=1))
randomness = dict(seed=0)
