"""KernelWarehouse in backbones that have no KW class: forward, backward, parameters, and the exact warm start."""

import copy

import pytest
import torch
from mmcv.cnn.bricks import Conv2dAdaptivePadding
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from mmkw import convert, set_temperature
from mmkw.conversion import warm_start
from mmkw.layers import KWConvNd
from mmkw.plans import WarehousePlan, vit_plan


def hrnet_stage(modules, branches, block='BASIC'):
    return dict(
        num_modules=modules,
        num_branches=branches,
        block=block,
        num_blocks=(1,) * branches,
        num_channels=tuple(16 * 2**i for i in range(branches)),
    )


# Config of the backbone -> size of the input.
BACKBONES = {
    'RegNet': (dict(type='mmpretrain.RegNet', arch='regnetx_400mf'), 32),
    'ResNeXt': (dict(type='mmpretrain.ResNeXt', depth=50, groups=4, width_per_group=8, base_channels=16), 32),
    'EfficientNet': (dict(type='mmpretrain.EfficientNet', arch='b0'), 64),
    'MobileNetV3': (dict(type='mmpretrain.MobileNetV3', arch='small'), 64),
    'VGG': (dict(type='mmpretrain.VGG', depth=11, norm_cfg=dict(type='BN')), 32),
    'HRNet': (
        dict(
            type='mmpretrain.HRNet',
            extra=dict(
                stage1=dict(num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(2,), num_channels=(16,)),
                stage2=hrnet_stage(1, 2),
                stage3=hrnet_stage(1, 3),
                stage4=hrnet_stage(1, 4),
            ),
        ),
        64,
    ),
    'SwinTransformer': (
        dict(
            type='mmpretrain.SwinTransformer',
            arch=dict(embed_dims=32, depths=[2, 2, 2, 2], num_heads=[2, 4, 8, 16]),
            img_size=64,
            window_size=2,
            drop_path_rate=0.0,
        ),
        64,
    ),
    'VisionTransformer': (
        dict(
            type='mmpretrain.VisionTransformer',
            arch=dict(embed_dims=32, num_layers=3, num_heads=2, feedforward_channels=64),
            img_size=32,
            patch_size=8,
        ),
        32,
    ),
    'ResNet': (dict(type='mmdet.ResNet', depth=18, base_channels=16, stem_channels=16), 64),
}


def build(cfg, **kwargs):
    torch.manual_seed(0)
    return MODELS.build(dict(type='KWBackbone', backbone=dict(cfg), **kwargs))


def plain_of(cfg):
    torch.manual_seed(0)
    return MODELS.build(dict(cfg))


def images(size, batch=2):
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(1))


def kw_layers(model):
    return {name: m for name, m in model.named_modules() if isinstance(m, KWConvNd)}


def spread(model):
    """Take all parameters and statistics away from their special starting values."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for value in (*model.parameters(), *model.buffers()):
            if value.is_floating_point() and value.dim():
                value.add_(0.1 * torch.rand(value.shape, generator=generator) - 0.05)
    return model


def evaluated(model):
    model.eval()  # a statement of its own: mmpretrain's backbones return None
    return model


@pytest.fixture(params=BACKBONES)
def backbone(request):
    return BACKBONES[request.param]


def test_same_outputs_and_a_gradient_for_all(backbone):
    cfg, size = backbone
    model, plain = build(cfg), plain_of(cfg)
    outs, expected = model(images(size)), plain(images(size))
    assert [out.shape for out in outs] == [out.shape for out in expected]
    for result in (outs, expected):
        sum(out.square().mean() for out in result).backward()
    without = {name for name, p in plain.named_parameters() if p.requires_grad and p.grad is None}
    # Where the plain backbone computes what nobody uses, so does its KW twin.
    layers = {name.rpartition('.')[0] for name in without}
    names = {
        n for n, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.isfinite().all())
    }
    assert all(any(name.startswith(f'{layer}.') for layer in layers) for name in names), names


@pytest.mark.parametrize('budget, cells_a_weight', [('1x', 1), ('4x', 4), ('1/2x', 1 / 2)])
def test_parameters_are_the_budget_times_those_of_the_converted_layers(backbone, budget, cells_a_weight):
    cfg, _ = backbone
    model, plain = build(cfg, budget=budget), dict(plain_of(cfg).named_modules())
    layers = kw_layers(model)
    weights = sum(plain[name].weight.numel() for name in layers)
    assert sum(p.numel() for p in model.warehouses.parameters()) == cells_a_weight * weights
    attentions = sum(p.numel() for layer in layers.values() for p in layer.attention.parameters())
    rest = sum(p.numel() for p in model.parameters()) - attentions - cells_a_weight * weights
    assert rest == sum(p.numel() for p in plain[''].parameters()) - weights


def test_most_weights_move(backbone):
    cfg, _ = backbone
    model, plain = build(cfg), plain_of(cfg)
    moved = sum(p.numel() for p in model.warehouses.parameters())
    assert moved > 0.7 * sum(p.numel() for p in plain.parameters() if p.dim() > 1)


@pytest.mark.parametrize('budget', ['1x', '2x'])
def test_a_warm_start_is_exact(backbone, budget):
    cfg, size = backbone
    plain = evaluated(spread(plain_of(cfg)).double())
    model = evaluated(build(cfg, budget=budget).double())
    errors = warm_start(model, plain.state_dict())
    assert set(errors.values()) == {0.0}
    set_temperature(model, 1)
    x = images(size).double()
    with torch.no_grad():
        for out, expected in zip(model(x), plain(x)):
            assert expected.std() > 0
            torch.testing.assert_close(out, expected, rtol=1e-10, atol=1e-10)


def test_adaptive_padding_is_kept():
    plain = nn.Sequential(Conv2dAdaptivePadding(4, 6, (5, 3), stride=(2, 3), dilation=(1, 2))).double()
    model = convert(copy.deepcopy(plain), {'a': WarehousePlan(['0'])})
    warm_start(model, plain.state_dict())
    set_temperature(model, 1)
    for size in ((7, 8), (8, 9), (1, 1)):
        x = torch.randn(2, 4, *size, dtype=torch.double)
        torch.testing.assert_close(model.train()(x), plain(x), rtol=1e-10, atol=1e-10)


def test_it_stays_the_backbone_that_it_was():
    cfg, _ = BACKBONES['ResNet']
    model, plain = build(cfg), plain_of(cfg)
    assert isinstance(model, type(plain))
    layers = kw_layers(model)
    kept = [key for key in plain.state_dict() if key.removesuffix('.weight') not in layers]
    assert set(kept) <= set(model.state_dict())


@pytest.mark.parametrize('scope', ['mmdet', 'mmpretrain', 'mmengine'])
def test_resolves_from_every_scope(scope):
    with DefaultScope.overwrite_default_scope(scope):
        assert kw_layers(build(BACKBONES['RegNet'][0]))


def test_a_frozen_stage_freezes_the_warehouses_that_only_it_uses():
    model = build({**BACKBONES['ResNet'][0], 'frozen_stages': 1}).train()
    trained = {name for name, p in model.warehouses.named_parameters() if p.requires_grad}
    assert trained == {name for name, _ in model.warehouses.named_parameters() if not name.startswith('stage0_')}
    assert not any(p.requires_grad for p in model.layer1.parameters())
    assert not model.layer1[0].conv1.attention.norm1.training


def test_vit_without_frozen_stages_trains_its_patch_embedding():
    model = build({**BACKBONES['VisionTransformer'][0], 'frozen_stages': 0}).train()
    assert all(p.requires_grad for p in model.parameters())


def test_the_log_names_warehouses_and_what_stays_plain(messages):
    build(BACKBONES['ResNet'][0], plan_cfg=dict(skip=['layer4.*']))
    text = '\n'.join(messages)
    assert 'stage1_conv_2: 18 mixtures of 32 x 32 x 1 x 1, layers layer2.1.conv1, layer2.1.conv2' in text
    assert 'plain: conv1 (the first convolution)' in text
    assert 'plain: layer4.0.conv1 (skipped, as asked)' in text


def test_warehouses_by_hand():
    model = build(BACKBONES['ResNet'][0], warehouse_cfg={'stage3_*': dict(budget=2)})
    mixtures = sum(m.mixtures for m in kw_layers(model).values() if m.warehouse_name == 'stage3_conv')
    assert len(model.warehouses['stage3_conv']) == 2 * mixtures


def test_vit_plan_shares_over_all_blocks():
    cfg = BACKBONES['VisionTransformer'][0]
    plan = vit_plan(plain_of(cfg))
    assert {name: (len(spec.layers), spec.budget) for name, spec in plan.items()} == {
        'attention': (6, 4),
        'mlp': (6, 4),
    }
    model = build(cfg, plan='vit', budget='4x')
    assert [tuple(p.shape) for p in model.warehouses.parameters()] == [(4 * 12, 32, 32, 1), (4 * 12, 32, 32, 1)]


BAD = {
    'a plan that is not there': (dict(plan='best'), "plan must be one of auto, .*, vit, got 'best'"),
    'a backbone that is not there': (dict(backbone=dict(type='ResNot')), "no backbone is registered as 'ResNot'"),
    'a checkpoint of the plain backbone': (
        dict(backbone={**BACKBONES['ResNet'][0], 'init_cfg': dict(type='Pretrained', checkpoint='torchvision://r')}),
        'give init_cfg=dict',
    ),
    'a pattern that fits nothing': (dict(plan_cfg=dict(skip=['layer9.*'])), "skip: 'layer9..' fits no convolution"),
}


@pytest.mark.parametrize('changes, message', BAD.values(), ids=BAD)
def test_bad_configs(changes, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build({'type': 'KWBackbone', 'backbone': dict(BACKBONES['ResNet'][0]), **changes})
