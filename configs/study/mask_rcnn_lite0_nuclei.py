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

# Half of the epochs that the training from scratch has: two cores give no more, and real weights need fewer.
max_epochs = 6
train_cfg = dict(max_epochs=max_epochs, val_interval=2)
warm_up, cosine = _base_.param_scheduler  # noqa: F821
param_scheduler = [warm_up, dict(cosine, end=max_epochs)]
del warm_up, cosine
