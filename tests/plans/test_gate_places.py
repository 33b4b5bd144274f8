"""Where SE, CBAM and ECA put their gates."""

import pytest
from mmengine.registry import MODELS
from torch import nn

from mmkw.layers import CBAMSpec, ECASpec, SESpec
from mmkw.plans import method_plan

SPECS = {'SE': SESpec, 'CBAM': CBAMSpec, 'ECA': ECASpec}


def network(kind='PlainResNet', **settings):
    small = dict(depth=18, base_channels=8, stem_channels=8) if 'ResNet' in kind else {}
    return MODELS.build(dict(type=kind, **{**small, **settings}))


@pytest.mark.parametrize('method', SPECS)
@pytest.mark.parametrize('depth, last', [(18, 'bn2'), (50, 'bn3')])
@pytest.mark.parametrize('kind', ['PlainResNet', 'mmdet.ResNet'])
def test_after_the_last_norm_of_each_block_of_a_resnet(method, kind, depth, last):
    plan = method_plan(network(kind, depth=depth), method)
    blocks = dict(zip(plan, (2, 2, 2, 2) if depth == 18 else (3, 4, 6, 3)))
    assert {type(spec) for spec in plan.values()} == {SPECS[method]}
    assert {stage: spec.layers for stage, spec in plan.items()} == {
        stage: tuple(f'{stage}.{i}.{last}' for i in range(number)) for stage, number in blocks.items()
    }


@pytest.mark.parametrize('method', SPECS)
def test_after_the_project_norm_of_each_block_of_a_mobilenet(method):
    names = [name for spec in method_plan(network('mmpretrain.MobileNetV2'), method).values() for name in spec.layers]
    assert len(names) == 17
    assert names[:3] == ['layer1.0.conv.1.bn', 'layer2.0.conv.2.bn', 'layer2.1.conv.2.bn']


def sizes_of(plan):
    return [spec.size for spec in plan.values()]


@pytest.mark.parametrize(
    'kind, settings, sizes',
    [
        ('PlainResNet', dict(base_channels=64), [3, 5, 5, 5]),
        ('PlainResNet', dict(depth=50, base_channels=64), [5, 5, 5, 7]),
        ('PlainResNet', dict(depth=34, num_stages=2, out_indices=(1,), strides=(1, 2), dilations=(1, 1)), [3, 3]),
        ('mmpretrain.MobileNetV2', {}, [1, 1, 1, 1, 3, 3, 3]),
        ('mmpretrain.MobileNetV2', dict(widen_factor=0.5), [1, 1, 1, 1, 1, 1, 3]),
    ],
)
def test_sizes_of_eca_follow_from_the_width(kind, settings, sizes):
    assert sizes_of(method_plan(network(kind, **settings), 'ECA')) == sizes


def test_sizes_of_eca_by_hand():
    assert sizes_of(method_plan(network(), 'ECA', sizes=(3, 5, 7, 7))) == [3, 5, 7, 7]
    with pytest.raises(ValueError, match=r'sizes must be one for each of layer1, .*layer4, got \(3, 5\)'):
        method_plan(network(), 'ECA', sizes=(3, 5))


@pytest.mark.parametrize('method', SPECS)
def test_a_network_whose_blocks_are_not_known(method):
    with pytest.raises(ValueError, match=f'{method} works a block at a time, .* of a Sequential are not known'):
        method_plan(nn.Sequential(nn.Conv2d(3, 8, 3)), method)
