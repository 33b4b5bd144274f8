# Mask R-CNN with MobileNetV2 1.0x and ODConv, 4 kernels, by KernelWarehouse's recipe, at temperature 1. No result was
# found for this recipe. It starts from the weights of ODConv's release.
# tools/dist_train.sh configs/mask_rcnn_odconv4x_mbv2_1x_coco.py 8
_base_ = './mask_rcnn_dyconv4x_mbv2_1x_coco.py'

checkpoint = 'checkpoints/odconv4x_mobilenetv2_100.pth'
sources = {checkpoint: 'the MobileNetV2 (1.0x) row, ODConv (4x), of the model table at https://github.com/OSVAI/ODConv'}
model = dict(
    backbone=dict(
        method=dict(type='ODConv', kernels=4),
        init_cfg=dict(_delete_=True, type='PublishedPretrained', checkpoint=checkpoint),
    )
)
