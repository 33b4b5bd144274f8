"""Every COCO config builds its detector, starts from its checkpoint and follows the published recipe."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from torch import nn

from mmkw.layers import DYConv2d, KWConvNd, ODConv2d, dynamic_layers

CONFIGS = Path(__file__).parents[2] / 'configs'

# Config -> warehouses, and their budget.
BACKBONES = {
    'r50': (0, None),
    'kw_r50': (4, 1),
    'kw_r50_warm': (4, 1),
    'kw4x_r50': (4, 4),
    'mbv2': (0, None),
    'kw_mbv2': (13, 1),
    'kw4x_mbv2': (19, 4),
    'convnext_t': (0, None),
    'kw_convnext_t': (12, 1),
}
# Config -> the method's layers, all with four kernels, and how many of them there are.
OTHER_METHODS = {
    'dyconv4x_r50': (DYConv2d, 52),
    'odconv4x_r50': (ODConv2d, 48),
    'dyconv4x_mbv2': (DYConv2d, 51),
    'odconv4x_mbv2': (ODConv2d, 51),
}
ALL = [*BACKBONES, *OTHER_METHODS]


def load(name):
    cfg = Config.fromfile(CONFIGS / f'mask_rcnn_{name}_1x_coco.py')
    init_default_scope(cfg.default_scope)
    return cfg


def build(cfg):
    return MODELS.build(cfg.model)


def test_the_table_is_whole():
    assert {path.name for path in CONFIGS.glob('*.py')} == {f'mask_rcnn_{name}_1x_coco.py' for name in ALL}


@pytest.mark.parametrize('name', ALL)
def test_features_fit_the_neck(name):
    model = build(load(name)).train()
    features = model.extract_feat(torch.zeros(2, 3, 64, 64))
    assert [tuple(f.shape) for f in features] == [(2, 256, s, s) for s in (16, 8, 4, 2, 1)]


@pytest.mark.parametrize('name, expected', BACKBONES.items())
def test_warehouses(name, expected):
    backbone = build(load(name)).backbone
    found = [p for key, p in backbone.named_parameters() if key.startswith('warehouses.')]
    mixtures = sum(m.mixtures for m in backbone.modules() if isinstance(m, KWConvNd))
    budget = sum(map(len, found)) / mixtures if found else None
    assert (len(found), budget) == expected


@pytest.mark.parametrize('name, expected', OTHER_METHODS.items())
def test_layers_of_other_methods(name, expected):
    layers = dynamic_layers(build(load(name)).backbone).values()
    kind, count = expected
    assert {type(layer) for layer in layers} == {kind}
    assert [len(layer.kernels) for layer in layers] == [4] * count
    assert {float(layer.temperature) for layer in layers} == {1}


@pytest.mark.parametrize('name', OTHER_METHODS)
def test_nothing_of_other_methods_is_spared_decay(name):
    cfg = load(name)
    groups = build_optim_wrapper(build(cfg), cfg.optim_wrapper).optimizer.param_groups
    assert {group['weight_decay'] for group in groups} == {0.05}  # ODConv's attention calls its norm `bn`


@pytest.mark.parametrize('name', ['dyconv4x_r50', 'dyconv4x_mbv2'])
def test_dyconv_starts_from_our_own_training(name):
    cfg = load(name)
    assert cfg.model.backbone.init_cfg == dict(type='Pretrained', checkpoint=cfg.checkpoint, prefix='backbone.')
    pretraining = cfg.sources[cfg.checkpoint].split()[-2]
    epochs = Config.fromfile(CONFIGS.parent / pretraining).train_cfg.max_epochs
    assert cfg.checkpoint == f'work_dirs/{Path(pretraining).stem}/epoch_{epochs}.pth'


@pytest.mark.parametrize('name', [name for name in ALL if name != 'kw_r50_warm' and 'dyconv' not in name])
def test_starts_from_a_published_file_that_the_config_says_where_to_get(name):
    cfg = load(name)
    init_cfg = cfg.model.backbone.init_cfg
    assert init_cfg.type == 'PublishedPretrained'
    assert init_cfg.checkpoint == cfg.checkpoint
    assert 'https://' in cfg.sources[cfg.checkpoint]
    method = next((method for method in ('kw', 'odconv4x') if name.startswith(method)), '')
    assert cfg.checkpoint.startswith(f'checkpoints/{method}')
    assert cfg.checkpoint.startswith('checkpoints/kw') == (method == 'kw')


def test_the_warm_start_lowers_the_temperature_and_trains_every_attention():
    cfg = load('kw_r50_warm')
    assert cfg.model.backbone.init_cfg == dict(type='PlainPretrained', checkpoint='torchvision://resnet50')
    hook = next(hook for hook in cfg.custom_hooks if hook.type == 'TemperatureHook')
    assert 0 < hook.end < cfg.train_cfg.max_epochs
    backbone = build(cfg).backbone
    backbone.train()
    frozen = {key.split('.')[0] for key, p in backbone.named_parameters() if not p.requires_grad}
    assert frozen == {'conv1', 'bn1'}


@pytest.mark.parametrize('name', [name for name in ALL if 'mbv2' in name])
def test_mobilenet_freezes_the_stem_and_three_blocks(name):
    backbone = build(load(name)).backbone
    backbone.train()
    frozen = {key.split('.')[0] for key, p in backbone.named_parameters() if not p.requires_grad}
    trained = {key.split('.')[0] for key, p in backbone.named_parameters() if p.requires_grad}
    assert {'conv1', 'layer1', 'layer2'} <= frozen <= {'conv1', 'layer1', 'layer2', 'warehouses'}
    assert not {'conv1', 'layer1', 'layer2'} & trained
    assert not any(m.training for m in backbone.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d)))


@pytest.mark.parametrize('name', ['convnext_t', 'kw_convnext_t'])
def test_convnext_learns_slower_in_earlier_layers(name):
    cfg = load(name)
    model = build(cfg)
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    rates = {id(p): group['lr'] for group in optimizer.param_groups for p in group['params']}
    backbone = model.backbone
    assert rates[id(backbone.downsample_layers[0][1].weight)] == pytest.approx(1e-4 * 0.95**7)
    assert rates[id(backbone.stages[3][2].norm.weight)] == pytest.approx(1e-4 * 0.95)
    assert rates[id(model.neck.fpn_convs[0].conv.weight)] == pytest.approx(1e-4)
    warehouses = [p for key, p in backbone.named_parameters() if key.startswith('warehouses.')]
    assert {rates[id(p)] for p in warehouses} == ({1e-4} if name == 'kw_convnext_t' else set())
    assert [block.drop_path.drop_prob for block in backbone.stages[3]][-1] == pytest.approx(0.4)
    assert (backbone.stages[0][0].gamma == 1).all()
    assert cfg.param_scheduler[-1].milestones == [9, 11]
