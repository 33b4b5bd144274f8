# A narrow ResNet18 on the handwritten digits of tools/demo_classify.py, in a minute on two CPU cores.
_base_ = ['mmpretrain::_base_/default_runtime.py', '../_base_/runtime.py']

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(num_classes=10, mean=[127.5] * 3, std=[127.5] * 3),
    # A quarter of ResNet18's width, and a stem that keeps the resolution.
    backbone=dict(type='PlainResNet', depth=18, stem_channels=16, base_channels=16, deep_stem=False),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=128, topk=(1,)),
)

# 8 x 8 pixels as they come; the network's strides, 32 in all, want more.
load = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=(32, 32), interpolation='bicubic')]
train_pipeline = [*load, dict(type='RandomCrop', crop_size=32, padding=3), dict(type='PackInputs')]
test_pipeline = [*load, dict(type='PackInputs')]
data_root = 'data/digits'
train_dataloader = dict(
    batch_size=32,
    num_workers=0,
    drop_last=True,  # 2 images would be left over, too few for the statistics of any BatchNorm
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='CustomDataset', data_root=data_root, data_prefix='train', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=100,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='CustomDataset', data_root=data_root, data_prefix='val', pipeline=test_pipeline),
)
val_evaluator = dict(type='Accuracy', topk=(1,))
test_dataloader = val_dataloader
test_evaluator = val_evaluator

max_epochs = 30
train_cfg = dict(by_epoch=True, max_epochs=max_epochs)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=True, begin=0, end=2, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=0, by_epoch=True, begin=2, end=max_epochs, convert_to_iter_based=True),
]
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=max_epochs))
randomness = dict(seed=0)
