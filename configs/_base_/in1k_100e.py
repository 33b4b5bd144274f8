# ResNet18 on ImageNet by the "traditional" recipe, by which KernelWarehouse's paper compares the methods: 100 epochs of
# SGD, 8 GPUs x 32 images, RandomResizedCrop and flip. Taken from ODConv's release; see docs/imagenet_recipes.md.
_base_ = ['./in1k.py', 'mmpretrain::_base_/datasets/imagenet_bs32_pil_resize.py']

model = dict(
    backbone=dict(type='PlainResNet', depth=18),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(in_channels=512),
)

train_dataloader = dict(batch_size=32, drop_last=True)
auto_scale_lr = dict(base_batch_size=8 * 32)
# Norms and biases decay too, as in that release.
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4), paramwise_cfg=None)
train_cfg = dict(by_epoch=True, max_epochs=100)
param_scheduler = dict(type='MultiStepLR', milestones=[30, 60, 90], gamma=0.1, by_epoch=True)
