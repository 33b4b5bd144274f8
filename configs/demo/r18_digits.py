# A narrow ResNet18 for the handwritten digits of mmkw.demo.digits; it trains in half a minute on a CPU core.
_base_ = ['mmpretrain::_base_/default_runtime.py', '../_base_/runtime.py']

model = dict(
    _scope_='mmpretrain',
    type='ImageClassifier',
    data_preprocessor=dict(num_classes=10, mean=[127.5] * 3, std=[127.5] * 3),
    backbone=dict(type='PlainResNet', depth=18, stem_channels=8, base_channels=8),  # an eighth of the usual width
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=64, topk=(1,)),
)

# The images have 8 x 8 pixels, and all strides of the network together are 32, so images are enlarged.
load = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=(32, 32), interpolation='bicubic')]
train_pipeline = [*load, dict(type='RandomCrop', crop_size=32, padding=3), dict(type='PackInputs')]
test_pipeline = [*load, dict(type='PackInputs')]
data_root = 'data/digits'
sources = {data_root: '`make demo-classify` writes it'}
train_dataloader = dict(
    batch_size=16,
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

max_epochs = 15
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=3)
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
