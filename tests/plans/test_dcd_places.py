"""Which layers DCD takes, and the sizes that it gives them."""

import pytest
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from mmkw.layers import DCDLinear
from mmkw.plans import method_plan


def plan_for(cfg):
    texts = []
    plan = method_plan(MODELS.build(cfg), 'DCD', log=texts.append)
    return {spec.layers[0]: (spec.latent, spec.squeeze, spec.pool) for spec in plan.values()}, plan, texts[0]


def test_basic_blocks():
    sizes, plan, text = plan_for(dict(type='PlainResNet', depth=18))
    assert list(sizes) == [f'layer{s}.{i}.conv{c}' for s in (1, 2, 3, 4) for i in (0, 1) for c in (1, 2)]
    assert sizes['layer1.0.conv1'] == (16, 16, 2)
    assert sizes['layer4.1.conv2'] == (45, 128, 2)
    assert {spec.fc_std for spec in plan.values()} == {None}
    assert 'plain: layer2.0.downsample.0 (not a place of DCD)' in text


def test_bottlenecks():
    sizes, _, _ = plan_for(dict(type='mmdet.ResNet', depth=50))
    assert len(sizes) == 3 * 16
    assert sizes['layer1.0.conv1'] == (8, 4, 1)
    assert sizes['layer4.2.conv3'] == (22, 32, 1)  # 484 latent pairs, 512 channels
    assert sizes['layer4.2.conv1'] == (45, 128, 1)


def test_inverted_residuals():
    sizes, plan, text = plan_for(dict(type='mmpretrain.MobileNetV2'))
    assert len(sizes) == 2 * 16
    assert sizes['layer2.0.conv.0.conv'] == (8, 4, 2)  # 16 -> 96: min(64 / 8, 96 / 8)
    assert sizes['layer2.0.conv.2.conv'] == (12, 9, 1)  # 96 -> 24: min(96 / 2, 24 / 2)
    assert {spec.fc_std for spec in plan.values()} == {0.01}
    for name in ('layer1.0.conv.1.conv', 'layer2.0.conv.1.conv', 'conv2.conv'):
        assert f'plain: {name} (not a place of DCD)' in text


def test_a_wide_projection_has_its_latent_channels_halved_until_they_are_few():
    sizes, _, _ = plan_for(dict(type='mmpretrain.MobileNetV2'))
    # 960 -> 320: min(960 / 2, 320 / 2) = 160, and 160 * 160 > 2 * 960; 80 and 40 follow, and 40 * 40 is less.
    assert sizes['layer7.0.conv.2.conv'] == (40, 100, 1)


def test_what_has_groups_stays_plain():
    sizes, _, text = plan_for(dict(type='mmpretrain.ResNeXt', depth=50, groups=4, width_per_group=8, base_channels=16))
    assert len(sizes) == 2 * 16
    assert 'plain: layer1.0.conv2 (DCD mixes all channels, which needs groups=1, got groups=4)' in text


def test_a_classifier():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        head = MODELS.build(
            dict(type='ConvertedLinearClsHead', num_classes=10, in_channels=64, method=dict(type='DCD'))
        )
    assert type(head.fc) is DCDLinear
    assert (head.fc.latent, head.fc.attention.fc0.out_features) == (32, 32)


def test_a_network_whose_blocks_are_not_known():
    with pytest.raises(ValueError, match='DCD works a block at a time, .* of a Sequential are not known'):
        method_plan(nn.Sequential(nn.Conv2d(3, 8, 3)), 'DCD')
