# Mask R-CNN with KW-ConvNeXt-T 1x. Published: box AP 44.7, mask AP 40.6 (the release's table; its config is b = 1).
_base_ = './mask_rcnn_convnext_t_1x_coco.py'

checkpoint = 'checkpoints/kw1x_convnext_tiny.pth'
sources = {checkpoint: 'the ConvNeXt row, KW (1x), of the model table at https://github.com/OSVAI/KernelWarehouse'}
model = dict(backbone=dict(type='KWConvNeXt', budget='1x', init_cfg=dict(checkpoint=checkpoint)))

# As published, warehouses learn at the full rate. This key names them and so takes them out of the layer-wise decay,
# where each would have the rate of its deepest layer. (mmkw reads the key; mmdet's constructor ignores it.)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(warehouses=dict(lr_mult=1.0))))
