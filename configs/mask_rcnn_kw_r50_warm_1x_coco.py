# Mask R-CNN with KW-ResNet50 1x from plain ImageNet weights, without KernelWarehouse pre-training. No published result.
# The temperature falls from 1, where the backbone equals the plain one, to 0 over the first four epochs. No stage is
# frozen, since the attentions are untrained.
_base_ = './mask_rcnn_kw_r50_1x_coco.py'

checkpoint = 'torchvision://resnet50'
sources = dict(_delete_=True)
model = dict(
    backbone=dict(frozen_stages=0, init_cfg=dict(_delete_=True, type='PlainPretrained', checkpoint=checkpoint))
)
custom_hooks = [*_base_.custom_hooks, dict(type='TemperatureHook', end=4)]  # noqa: F821
