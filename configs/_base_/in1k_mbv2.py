# MobileNetV2 on ImageNet: 150 epochs of SGD, 8 GPUs x 32 images, RandomResizedCrop and flip.
_base_ = ['./in1k.py', 'mmpretrain::_base_/datasets/imagenet_bs32_pil_resize.py']

model = dict(
    backbone=dict(type='MobileNetV2'),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(in_channels=1280),
)

train_dataloader = dict(batch_size=32, drop_last=True)
auto_scale_lr = dict(base_batch_size=8 * 32)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9, nesterov=True, weight_decay=4e-5))
train_cfg = dict(by_epoch=True, max_epochs=150)
param_scheduler = dict(
    type='CosineAnnealingLR', eta_min=1e-6, begin=0, end=150, by_epoch=True, convert_to_iter_based=True
)
