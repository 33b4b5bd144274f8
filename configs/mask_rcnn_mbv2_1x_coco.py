# Mask R-CNN with the plain MobileNetV2 1.0x, to compare with. Published: box AP 33.8, mask AP 31.7.
_base_ = './_base_/mask_rcnn_1x_coco.py'

checkpoint = 'checkpoints/mobilenetv2_100.pth'
sources = {
    checkpoint: 'the MobileNetV2 (1.0x) row, plain, of the model table at https://github.com/OSVAI/KernelWarehouse'
}
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmpretrain.MobileNetV2',
        out_indices=(1, 2, 4, 7),
        frozen_stages=2,  # the stem and the first three blocks
        norm_eval=True,
        init_cfg=dict(type='PublishedPretrained', checkpoint=checkpoint),
    ),
    neck=dict(in_channels=[24, 32, 96, 1280]),
)

# mmpretrain's MobileNetV2 freezes stages when training starts, after DistributedDataParallel has listed parameters.
find_unused_parameters = True
