# Mask R-CNN with KW-ResNet50 1x. Published: box AP 41.8, mask AP 38.4.
_base_ = './_base_/mask_rcnn_1x_coco.py'

checkpoint = 'checkpoints/kw1x_resnet50.pth'
sources = {checkpoint: 'the ResNet50 row, KW (1x), of the model table at https://github.com/OSVAI/KernelWarehouse'}
model = dict(
    backbone=dict(
        _delete_=True,
        type='KWResNet',
        depth=50,
        budget='1x',
        drop_path_rate=0.1,
        out_indices=(0, 1, 2, 3),
        frozen_stages=1,
        norm_eval=True,
        init_cfg=dict(type='PublishedPretrained', checkpoint=checkpoint),
    )
)
