"""The switch ``sharing`` decides which layers share a warehouse."""

import pytest
import torch
from torch import nn

from mmkw import convert
from mmkw.plans import WarehousePlan, adjust

LAYERS = ['0', '1.conv', '2', '3']


def network():
    conv = nn.Sequential()
    conv.add_module('conv', nn.Conv2d(8, 8, 3, padding=1))
    return nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), conv, nn.Conv2d(8, 8, 1), nn.Conv2d(8, 16, 1))


def cells(**settings):
    model = convert(network(), {'body': WarehousePlan(LAYERS, **settings)})
    model(torch.randn(2, 8, 4, 4)).sum().backward()
    return {name: tuple(p.shape) for name, p in model.warehouses.named_parameters()}


@pytest.mark.parametrize(
    'sharing, expected',
    [
        ('stage', {'body': (21, 8, 8, 1, 1)}),
        (
            'shape',
            {'body_8x8x3x3': (18, 8, 8, 1, 1), 'body_8x8x1x1': (1, 8, 8, 1, 1), 'body_16x8x1x1': (1, 16, 8, 1, 1)},
        ),
        (
            'layer',
            {
                'body_0': (9, 8, 8, 1, 1),
                'body_1_conv': (9, 8, 8, 1, 1),
                'body_2': (1, 8, 8, 1, 1),
                'body_3': (1, 16, 8, 1, 1),
            },
        ),
    ],
)
def test_warehouses(sharing, expected):
    assert cells(sharing=sharing) == expected


def test_without_sharing_the_attention_sees_the_mixtures_own_cells():
    model = convert(network(), {'body': WarehousePlan(LAYERS, budget=2, sharing='none')})
    assert [(model[i].attention.cells, len(model[i].cells)) for i in (0, 2)] == [(2, 18), (2, 2)]


def test_full_kernels_of_layers_with_the_same_shape():
    sizes = cells(sharing='shape', spatial_partition=False, channel_partition=False, budget=2)
    assert sizes == {
        'body_8x8x3x3': (4, 8, 8, 3, 3),
        'body_8x8x1x1': (2, 8, 8, 1, 1),
        'body_16x8x1x1': (2, 16, 8, 1, 1),
    }


def split(plan, model):
    modules = dict(model.named_modules())
    return {part: spec for name, one in plan.items() for part, spec in one.split(name, modules).items()}


def test_a_linear_layer_has_a_shape_too():
    model = nn.Sequential(nn.Linear(4, 6))
    assert list(split({'fc': WarehousePlan(['0'], sharing='shape')}, model)) == ['fc_6x4x1']


def test_layers_of_their_own_have_no_basis_form():
    plan = {'body': WarehousePlan(LAYERS, nonlocal_basis_ratio=0.5, sharing='shape')}
    assert [spec.nonlocal_basis_ratio for spec in split(plan, network()).values()] == [0.5, 1, 1]


def test_by_hand():
    plan = {'stem': WarehousePlan(['0']), 'body': WarehousePlan(['2', '3'])}
    parts = split(adjust(plan, {'body': dict(sharing='layer')}), network())
    assert list(parts) == ['stem', 'body_2', 'body_3']


@pytest.mark.parametrize(
    'plan, message',
    [
        ({'a': WarehousePlan(['0'], sharing='all')}, "sharing of 'a' must be one of stage, .* got 'all'"),
        (
            {'a_2': WarehousePlan(['0']), 'a': WarehousePlan(['2'], sharing='layer')},
            "two warehouses would be named 'a_2'; rename 'a'",
        ),
        ({'a': WarehousePlan(['0', '2'], spatial_partition=False)}, "sharing='shape'"),
        ({'a': WarehousePlan(['2', '3'], channel_partition=False)}, "sharing='shape'"),
        ({'a': WarehousePlan(['0'], budget=0.5, sharing='none')}, "'a_0' has 4 cells but its layers take 5"),
    ],
)
def test_bad_plans_leave_the_network_as_it_was(plan, message):
    model = network()
    with pytest.raises(ValueError, match=message):
        convert(model, plan)
    assert repr(model) == repr(network())
