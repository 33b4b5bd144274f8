# Mask R-CNN with ResNet50 and DY-Conv, 4 kernels, by KernelWarehouse's recipe, at temperature 1. Published: box AP
# 39.6, mask AP 36.6 (KernelWarehouse's COCO table as the FDConv paper quotes it). No ImageNet weights of it were
# published: it starts from those of our own config, to be trained first.
# tools/dist_train.sh configs/mask_rcnn_dyconv4x_r50_1x_coco.py 8
_base_ = './_base_/mask_rcnn_1x_coco.py'

checkpoint = 'work_dirs/dyconv4x_r50_in1k/epoch_300.pth'
sources = {checkpoint: 'train it: tools/dist_train.sh configs/imagenet/dyconv4x_r50_in1k.py 8'}
model = dict(
    backbone=dict(
        _delete_=True,
        type='ConvertedBackbone',
        backbone=dict(
            type='PlainResNet',
            depth=50,
            drop_path_rate=0.1,
            out_indices=(0, 1, 2, 3),
            frozen_stages=1,
            norm_eval=True,
        ),
        method=dict(type='DYConv', kernels=4),
        init_cfg=dict(type='Pretrained', checkpoint=checkpoint, prefix='backbone.'),
    )
)
