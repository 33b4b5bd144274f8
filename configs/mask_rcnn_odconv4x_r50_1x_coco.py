# Mask R-CNN with ResNet50 and ODConv, 4 kernels, by KernelWarehouse's recipe, at temperature 1. Published: box AP 42.1,
# mask AP 38.6 (KernelWarehouse's COCO table as the FDConv paper quotes it). It starts from the weights of ODConv's
# release; which ones the published result starts from was not found.
# tools/dist_train.sh configs/mask_rcnn_odconv4x_r50_1x_coco.py 8
_base_ = './mask_rcnn_dyconv4x_r50_1x_coco.py'

checkpoint = 'checkpoints/odconv4x_resnet50.pth'
sources = {checkpoint: 'the ResNet50 row, ODConv (4x), of the model table at https://github.com/OSVAI/ODConv'}
model = dict(
    backbone=dict(
        method=dict(type='ODConv', kernels=4),
        init_cfg=dict(_delete_=True, type='PublishedPretrained', checkpoint=checkpoint),
    )
)
