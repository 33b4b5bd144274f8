# Mask R-CNN with MobileNetV2 1.0x and DY-Conv, 4 kernels, by KernelWarehouse's recipe, at temperature 1. No result was
# found for this recipe. No ImageNet weights of it were published: it starts from those of our own config, to be trained
# first.
# tools/dist_train.sh configs/mask_rcnn_dyconv4x_mbv2_1x_coco.py 8
_base_ = './mask_rcnn_mbv2_1x_coco.py'

checkpoint = 'work_dirs/dyconv4x_mbv2_in1k/epoch_150.pth'
sources = {checkpoint: 'train it: tools/dist_train.sh configs/imagenet/dyconv4x_mbv2_in1k.py 8'}
model = dict(
    backbone=dict(
        _delete_=True,
        type='ConvertedBackbone',
        backbone=dict(
            type='mmpretrain.MobileNetV2',
            out_indices=(1, 2, 4, 7),
            frozen_stages=2,  # the stem and the first three blocks
            norm_eval=True,
        ),
        method=dict(type='DYConv', kernels=4),
        init_cfg=dict(type='Pretrained', checkpoint=checkpoint, prefix='backbone.'),
    )
)
find_unused_parameters = False
