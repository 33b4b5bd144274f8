# Mask R-CNN with KW-MobileNetV2 1.0x 4x. Published: box AP 38.0, mask AP 34.9.
_base_ = './mask_rcnn_mbv2_1x_coco.py'

checkpoint = 'checkpoints/kw4x_mobilenetv2_100.pth'
sources = {
    checkpoint: 'the MobileNetV2 (1.0x) row, KW (4x), of the model table at https://github.com/OSVAI/KernelWarehouse'
}
model = dict(backbone=dict(type='KWMobileNetV2', budget='4x', init_cfg=dict(checkpoint=checkpoint)))
find_unused_parameters = False
