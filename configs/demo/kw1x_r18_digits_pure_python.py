# kw1x_r18_digits.py in mmengine's pure-Python style: types are classes, so editors find and check them. mmpretrain's
# runtime settings are written out, since its package has no pure-Python form of them.
from mmengine.dataset import DefaultSampler
from mmengine.hooks import CheckpointHook, DistSamplerSeedHook, IterTimerHook, LoggerHook, ParamSchedulerHook
from mmengine.optim import CosineAnnealingLR, LinearLR, OptimWrapper
from mmengine.runner import EpochBasedTrainLoop, TestLoop, ValLoop
from mmengine.visualization import LocalVisBackend
from mmpretrain.datasets import CustomDataset, LoadImageFromFile, PackInputs, RandomCrop
from mmpretrain.datasets.transforms import Resize
from mmpretrain.engine import VisualizationHook
from mmpretrain.evaluation import Accuracy
from mmpretrain.models import GlobalAveragePooling, ImageClassifier, LinearClsHead
from mmpretrain.visualization import UniversalVisualizer
from torch.optim import AdamW

from mmkw.engine import EpochSeedHook, TemperatureHook
from mmkw.models import KWResNet

model = dict(
    type=ImageClassifier,
    data_preprocessor=dict(num_classes=10, mean=[127.5] * 3, std=[127.5] * 3),
    backbone=dict(type=KWResNet, budget='1x', depth=18, stem_channels=8, base_channels=8),
    neck=dict(type=GlobalAveragePooling),
    head=dict(type=LinearClsHead, num_classes=10, in_channels=64, topk=(1,)),
)

load = [dict(type=LoadImageFromFile), dict(type=Resize, scale=(32, 32), interpolation='bicubic')]
train_pipeline = [*load, dict(type=RandomCrop, crop_size=32, padding=3), dict(type=PackInputs)]
test_pipeline = [*load, dict(type=PackInputs)]
data_root = 'data/digits'
sources = {data_root: '`make demo-classify` writes it'}
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    drop_last=True,
    sampler=dict(type=DefaultSampler, shuffle=True),
    dataset=dict(type=CustomDataset, data_root=data_root, data_prefix='train', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=100,
    num_workers=0,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(type=CustomDataset, data_root=data_root, data_prefix='val', pipeline=test_pipeline),
)
val_evaluator = dict(type=Accuracy, topk=(1,))
test_dataloader = val_dataloader
test_evaluator = val_evaluator

max_epochs = 15
train_cfg = dict(type=EpochBasedTrainLoop, max_epochs=max_epochs, val_interval=3)
val_cfg = dict(type=ValLoop)
test_cfg = dict(type=TestLoop)
optim_wrapper = dict(
    type=OptimWrapper,
    optimizer=dict(type=AdamW, lr=2e-3, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
)
param_scheduler = [
    dict(type=LinearLR, start_factor=0.01, by_epoch=True, begin=0, end=2, convert_to_iter_based=True),
    dict(type=CosineAnnealingLR, eta_min=0, by_epoch=True, begin=2, end=max_epochs, convert_to_iter_based=True),
]
default_hooks = dict(
    timer=dict(type=IterTimerHook),
    logger=dict(type=LoggerHook, interval=10),
    param_scheduler=dict(type=ParamSchedulerHook),
    checkpoint=dict(type=CheckpointHook, interval=max_epochs),
    sampler_seed=dict(type=DistSamplerSeedHook),
    visualization=dict(type=VisualizationHook, enable=False),
)
custom_hooks = [dict(type=EpochSeedHook), dict(type=TemperatureHook, end=5)]
visualizer = dict(type=UniversalVisualizer, vis_backends=[dict(type=LocalVisBackend)])
randomness = dict(seed=0)
