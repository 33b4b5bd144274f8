# Mask R-CNN with EfficientNet-Lite0 on the nuclei, from its real ImageNet weights.
_base_ = ['./mask_rcnn_mbv2_nuclei.py', '../_base_/lite0.py']

sources = _base_.weights_source  # noqa: F821
model = dict(
    data_preprocessor=dict(mean=[127] * 3, std=[128] * 3),  # of the weights
    backbone=dict(
        _delete_=True,
        type='EfficientNetLite0',
        out_indices=(2, 3, 4, 6),
        init_cfg=dict(type='PublishedPretrained', checkpoint=_base_.checkpoint),  # noqa: F821
    ),
    neck=dict(in_channels=[24, 40, 112, 1280]),
)
