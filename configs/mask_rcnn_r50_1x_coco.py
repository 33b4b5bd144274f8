# Mask R-CNN with the plain ResNet50 in the same recipe, to compare with. Published: box AP 39.6, mask AP 36.4.
_base_ = './_base_/mask_rcnn_1x_coco.py'

checkpoint = 'checkpoints/resnet50.pth'
sources = {checkpoint: 'the ResNet50 row, plain, of the model table at https://github.com/OSVAI/KernelWarehouse'}
model = dict(
    backbone=dict(
        _delete_=True,
        type='PlainResNet',
        depth=50,
        drop_path_rate=0.1,
        out_indices=(0, 1, 2, 3),
        frozen_stages=1,
        norm_eval=True,
        # dict(type='Pretrained', checkpoint='torchvision://resnet50') works too, but was trained by another recipe.
        init_cfg=dict(type='PublishedPretrained', checkpoint=checkpoint),
    )
)
