"""A plan converts a plain network."""

import copy

import pytest
import torch
from torch import nn

from mmkw import convert, set_temperature
from mmkw.layers import KWConv1d, KWConv2d, KWConv3d, KWLinear
from mmkw.plans import WarehousePlan, adjust, parse_budget


def network():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.Sequential(nn.Conv2d(8, 16, 3, stride=2, padding=1, groups=4), nn.ReLU(), nn.Conv2d(16, 8, 1, bias=False)),
        nn.Flatten(),
        nn.Linear(8, 4),
    )


def test_named_layers_move_and_the_others_stay():
    model = network()
    stem, bias = model[0], model[1][0].bias
    assert convert(model, {'body': WarehousePlan(['1.0', '1.2'])}) is model
    assert model[0] is stem
    assert [type(model[1][0]), type(model[1][2]), type(model[3])] == [KWConv2d, KWConv2d, nn.Linear]
    assert model[1][0].bias is bias
    assert (model[1][0].stride, model[1][0].padding, model[1][0].groups) == ((2, 2), (1, 1), 4)


def test_warehouse_names_are_state_dict_names():
    model = convert(network(), {'fc': WarehousePlan(['3']), 'body': WarehousePlan(['1.0', '1.2'])})
    names = [name for name in model.state_dict() if name.startswith('warehouses.')]
    assert names == ['warehouses.body', 'warehouses.fc', 'warehouses.temperature']


def test_all_kinds_of_layers():
    model = nn.ModuleList([nn.Conv1d(4, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv3d(4, 4, 3), nn.Linear(4, 4)])
    convert(model, {f'w{i}': WarehousePlan([str(i)]) for i in range(4)})
    assert [type(model[i]) for i in range(4)] == [KWConv1d, KWConv2d, KWConv3d, KWLinear]


def test_cells_are_handed_out_in_network_order_whatever_the_plans_order():
    model = convert(network(), {'body': WarehousePlan(['1.2', '1.0'], budget=2)})
    assert model[1][0].start_assignment()[0] == 0
    assert model[1][2].start_assignment()[0] == 2 * model[1][0].mixtures


def test_dtype_and_mode_are_kept():
    model = convert(network().double().eval(), {'body': WarehousePlan(['1.0', '1.2'])})
    assert {p.dtype for p in model.parameters()} == {torch.double}
    assert not model[1][0].attention.norm1.training
    assert model(torch.randn(1, 3, 4, 4).double()).shape == (1, 4)


def test_a_converted_network_trains():
    model = convert(network(), {'body': WarehousePlan(['1.0', '1.2'])})
    model(torch.randn(2, 3, 4, 4)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_every_parameter_has_a_gradient_at_every_temperature():
    """An unused parameter would make distributed training wait forever for its gradient."""
    model = convert(network(), {'body': WarehousePlan(['1.0', '1.2'])})
    set_temperature(model, 1)
    model(torch.randn(2, 3, 4, 4)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


BAD_PLANS = {
    'a layer that is not there': (
        {'a': WarehousePlan(['1.0', '1.3'])},
        r"puts '1.3' into 'a', but the network has no such layer; did you mean 1.[012] or",
    ),
    'one layer twice in a warehouse': ({'a': WarehousePlan(['1.0', '1.0'])}, "names '1.0' twice, in 'a' and in 'a'"),
    'one layer in two warehouses': (
        {'a': WarehousePlan(['1.0']), 'b': WarehousePlan(['1.2', '1.0'])},
        "names '1.0' twice, in 'a' and in 'b'",
    ),
    'a layer of another kind': ({'a': WarehousePlan(['1.1'])}, "names '1.1', a ReLU; only nn.Conv1d"),
    'a warehouse without layers': ({'a': WarehousePlan([])}, "warehouse 'a' of the plan has no layer"),
    'nothing': ({}, 'the plan names no layer'),
    'a budget that leaves cells uncounted': ({'a': WarehousePlan(['1.0'], budget=1.5)}, "'a' has .* cells but"),
    'channels that do not divide into cells': (
        {'a': WarehousePlan(['0'], cell_inplane_ratio=0.7)},
        r"warehouse 'a': a kernel of shape \(8, 3, 3, 3\) does not divide into cells of shape \(8, 2, 1, 1\)",
    ),
    'windows that differ without spatial partition': (
        {'a': WarehousePlan(['1.0', '1.2'], spatial_partition=False)},
        "warehouse 'a': layers with different windows",
    ),
    'a linear layer beside a convolution': ({'a': WarehousePlan(['1.2', '3'])}, 'same number of spatial axes'),
}


@pytest.mark.parametrize('plan, message', BAD_PLANS.values(), ids=BAD_PLANS)
def test_bad_plans_leave_the_network_as_it_was(plan, message):
    model = network()
    before = copy.deepcopy(model)
    with pytest.raises(ValueError, match=message):
        convert(model, plan)
    assert repr(model) == repr(before)


def test_a_convolution_with_a_forward_of_its_own_is_refused():
    class Padded(nn.Conv2d):
        def forward(self, x):
            return super().forward(nn.functional.pad(x, (0, 1, 0, 1)))

    with pytest.raises(ValueError, match="names '0', a Padded; only nn.Conv1d"):
        convert(nn.Sequential(Padded(4, 4, 3)), {'a': WarehousePlan(['0'])})


def test_converting_twice():
    model = convert(network(), {'body': WarehousePlan(['1.0'])})
    with pytest.raises(ValueError, match='Sequential already has an attribute `warehouses`'):
        convert(model, {'rest': WarehousePlan(['1.2'])})


@pytest.mark.parametrize('text, value', [('1x', 1), ('4x', 4), ('1/2x', 0.5), ('1/4', 0.25), (0.5, 0.5), (2, 2)])
def test_budgets(text, value):
    assert parse_budget(text) == value


def test_settings_by_hand():
    plan = {'stem': WarehousePlan(['0']), 'stage1_a': WarehousePlan(['1.0']), 'stage1_b': WarehousePlan(['1.2'])}
    adjusted = adjust(plan, {'stage1_*': dict(budget='1/2x', norm='LN'), 'stage1_b': dict(budget=4)})
    assert [(p.budget, p.norm) for p in adjusted.values()] == [(1, 'BN'), (0.5, 'LN'), (4, 'LN')]
    assert plan['stage1_a'].budget == 1


@pytest.mark.parametrize(
    'settings, message',
    [
        ({'stage9': dict(budget=1)}, "'stage9' fits no warehouse; there are stem"),
        ({'stem': dict(buget=1)}, "buget of 'stem' is no setting of a WarehousePlan"),
        ({'stem': dict(budget='much')}, "budget must be .* got 'much'"),
    ],
)
def test_bad_settings_by_hand(settings, message):
    with pytest.raises(ValueError, match=message):
        adjust({'stem': WarehousePlan(['0'])}, settings)
