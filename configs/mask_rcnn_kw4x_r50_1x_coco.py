# Mask R-CNN with KW-ResNet50 4x. Published: box AP 42.4, mask AP 38.9.
_base_ = './mask_rcnn_kw_r50_1x_coco.py'

checkpoint = 'checkpoints/kw4x_resnet50.pth'
sources = {checkpoint: 'the ResNet50 row, KW (4x), of the model table at https://github.com/OSVAI/KernelWarehouse'}
model = dict(backbone=dict(budget='4x', init_cfg=dict(checkpoint=checkpoint)))
