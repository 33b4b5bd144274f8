# ResNet and ConvNeXt on ImageNet: 300 epochs of AdamW, strong augmentation: crop, flip, RandAugment m9 std 0.5 inc 1,
# random erasing 0.25. There is no colour jitter: timm, which the release trains with, leaves it out beside RandAugment.
_base_ = ['./in1k.py', 'mmpretrain::_base_/datasets/imagenet_bs64_swin_224.py']

# A batch of 4096: 8 GPUs x 128 images x 4 passes. mmengine's iterations, and its --auto-scale-lr, count passes.
train_dataloader = dict(batch_size=128, drop_last=True)
auto_scale_lr = dict(base_batch_size=8 * 128)
optim_wrapper = dict(
    accumulative_counts=4,
    optimizer=dict(type='AdamW', lr=4e-3, betas=(0.9, 0.999), weight_decay=0.05),
)

model = dict(
    head=dict(loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1)),
    # Each batch gets one of the two, by the toss of a coin.
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]),
)

train_cfg = dict(by_epoch=True, max_epochs=300)
param_scheduler = [
    # The published warm-up starts at 0, but mmengine divides by the start.
    dict(type='LinearLR', start_factor=1e-12, begin=0, end=20, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=1e-6, begin=20, end=300, by_epoch=True, convert_to_iter_based=True),
]
