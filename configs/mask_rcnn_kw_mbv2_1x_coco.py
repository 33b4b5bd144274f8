# Mask R-CNN with KW-MobileNetV2 1.0x 1x. Published: box AP 36.4, mask AP 33.7.
_base_ = './mask_rcnn_mbv2_1x_coco.py'

checkpoint = 'checkpoints/kw1x_mobilenetv2_100.pth'
sources = {
    checkpoint: 'the MobileNetV2 (1.0x) row, KW (1x), of the model table at https://github.com/OSVAI/KernelWarehouse'
}
model = dict(backbone=dict(type='KWMobileNetV2', budget='1x', init_cfg=dict(checkpoint=checkpoint)))
find_unused_parameters = False
