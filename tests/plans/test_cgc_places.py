"""Which convolutions CGC takes, and what it leaves plain."""

import pytest
from mmengine.registry import MODELS
from torch import nn

from mmkw import convert
from mmkw.layers import CGCConv2d
from mmkw.plans import method_plan


def build(cfg):
    return MODELS.build(dict(cfg))


def layers_of(network, **settings):
    texts = []
    (spec,) = method_plan(network, 'CGC', log=texts.append, **settings).values()
    return list(spec.layers), texts[0]


SMALL = dict(base_channels=16, stem_channels=16)


def test_in_basic_blocks_both_convolutions_and_the_stem():
    layers, text = layers_of(build(dict(type='PlainResNet', depth=18, **SMALL)))
    assert layers == ['conv1', *(f'layer{s}.{i}.conv{c}' for s in (1, 2, 3, 4) for i in (0, 1) for c in (1, 2))]
    assert 'plain: layer2.0.downsample.0 (it has no window)' in text


def test_in_bottlenecks_the_middle_convolution():
    layers, _ = layers_of(build(dict(type='mmdet.ResNet', depth=50, **SMALL)))
    assert len(layers) == 1 + 16
    assert {name.rpartition('.')[2] for name in layers[1:]} == {'conv2'}


def test_in_any_network_what_has_a_window_and_no_groups():
    network = nn.Sequential(
        nn.Conv2d(3, 16, 3),
        nn.Conv2d(16, 32, 3),
        nn.Conv2d(32, 32, 3, groups=2),
        nn.Conv2d(32, 32, 1),
        nn.Conv2d(32, 24, 3),
        nn.Conv2d(24, 16, 3),
        nn.Flatten(2),
        nn.Conv1d(16, 16, 3),
    )
    layers, text = layers_of(network, skip=['1'])
    assert layers == ['0', '4']
    for line in (
        '1 (skipped, as asked)',
        '2 (CGC is defined for groups=1 alone, got groups=2)',
        '3 (it has no window)',
        '5 (CGC mixes input channels in groups of 16',
        '7 (CGC replaces 2-d convolutions)',
    ):
        assert f'plain: {line}' in text
    convert(network, method_plan(network, 'CGC', log=str))
    assert [type(network[i]) is CGCConv2d for i in range(6)] == [True, True, False, False, True, False]


def test_a_mobilenet_has_no_place_for_it():
    with pytest.raises(ValueError, match='CGC has no place in a MobileNetV2: only its first convolution'):
        layers_of(build(dict(type='mmpretrain.MobileNetV2')))
