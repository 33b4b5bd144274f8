"""Weights that are not for a network are refused as they are loaded, in whatever way; needs torch alone."""

import copy

import pytest
import torch
from torch import nn

from mmkw import convert
from mmkw.layers import KWConv2d, KWLinear, MisfitError, check_fit
from mmkw.plans import WarehousePlan


class Network(nn.Sequential):
    """Three convolutions, the latter two in a warehouse, and a plain head."""

    def __init__(self, budget=None, layers=3, classes=2):
        super().__init__(*(nn.Conv2d(4, 4, 3, padding=1) for _ in range(layers)), nn.Flatten(), nn.Linear(16, classes))
        if budget:
            convert(self, {'body': WarehousePlan([str(n) for n in range(1, layers)], budget)})


def parts(network, start):
    return {key: value for key, value in network.state_dict().items() if key.startswith(start)}


def test_its_own_weights_fit():
    source, network = Network(1), Network(1)
    network.load_state_dict(source.state_dict())
    check_fit(network, source.state_dict())
    assert torch.equal(network.warehouses['body'], source.warehouses['body'])


OTHERS = {
    'budget': (
        Network(2),
        'it has 2 layers, budget b = 2, 1 warehouse .body. where the model has 2 layers, budget b = 1',
    ),
    'depth': (Network(1, layers=4), 'it has 3 layers, budget b = 1, 1 warehouse .body. where the model has 2 layers'),
    'plain': (
        Network(),
        r'it has a network without dynamic layers \(a plain one\) where .*PlainPretrained.*tools/warm_start.py',
    ),
}


@pytest.mark.parametrize('kind', OTHERS)
@pytest.mark.parametrize('strict', [True, False])
@pytest.mark.parametrize('prefix', ['', 'backbone.'])
def test_others_are_refused_and_change_nothing(kind, strict, prefix):
    other, message = OTHERS[kind]
    network = Network(1)
    before = copy.deepcopy(network.state_dict())
    model = nn.ModuleDict({'backbone': network}) if prefix else network
    state = {prefix + key: value for key, value in other.state_dict().items()}
    with pytest.raises(MisfitError, match=f'^the checkpoint does not fit Network: {message}') as error:
        model.load_state_dict(state, strict=strict)
    assert f'{prefix}warehouses.body is' in str(error.value)
    assert '\n' not in str(error.value)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_a_copy_is_guarded_too():
    network = copy.deepcopy(Network(1))
    with pytest.raises(MisfitError, match='budget b = 2'):
        network.load_state_dict(Network(2).state_dict())


@pytest.mark.parametrize('missing', ['warehouses.body', '1.attention.fc2.bias', '2.bias'])
def test_one_part_of_a_layer_is_missing(missing):
    state = Network(1).state_dict()
    del state[missing]
    with pytest.raises(MisfitError, match=rf'\({missing} is missing\)'):
        Network(1).load_state_dict(state, strict=False)


@pytest.mark.parametrize('missing', ['warehouses.temperature', '1.attention.norm1.num_batches_tracked'])
def test_what_may_be_missing(missing):
    state = Network(1).state_dict()
    del state[missing]
    Network(1).load_state_dict(state, strict=False)


@pytest.mark.parametrize('start', ['4.', '0.', 'warehouses.temperature', 'nothing'])
def test_part_of_a_network_may_be_loaded_on_purpose(start):
    """The head alone, the stem alone, ...: nothing for the KW layers, and nothing that is not known."""
    source, network = Network(1), Network(1)
    network.load_state_dict(parts(source, start), strict=False)
    assert all(torch.equal(value, source.state_dict()[key]) for key, value in parts(network, start).items())


def test_but_a_part_is_no_checkpoint():
    with pytest.raises(MisfitError, match='^file.pth does not fit Network'):
        check_fit(Network(1), parts(Network(1), '4.'), 'file.pth')


def test_only_the_head_of_what_holds_the_network():
    model = nn.ModuleDict({'backbone': Network(1), 'head': nn.Linear(1, 1)})
    model.load_state_dict({'head.weight': torch.ones(1, 1)}, strict=False)
    assert model.head.weight == 1


def test_a_file_with_no_key_for_the_network():
    model = nn.ModuleDict({'backbone': Network(1), 'head': nn.Linear(1, 1)})
    with pytest.raises(
        MisfitError, match=r"init_cfg=dict\(type='Pretrained', checkpoint=...\) of the Network takes it"
    ):
        model.load_state_dict(Network(1).state_dict(), strict=False)


def test_a_file_that_has_the_network_elsewhere():
    state = {f'backbone.{key}': value for key, value in Network(1).state_dict().items()}
    with pytest.raises(MisfitError, match=r"checkpoint=..., prefix='backbone.'\) of the Network takes it"):
        Network(1).load_state_dict(state, strict=False)


def test_a_head_for_another_number_of_classes_is_left_to_torch():
    assert 'size mismatch for 4.weight' in str(
        pytest.raises(RuntimeError, load, Network(1), Network(1, classes=3)).value
    )
    assert 'size mismatch for bias' in str(pytest.raises(RuntimeError, load, KWLinear(4, 2), KWLinear(4, 3)).value)


def load(network, source):
    network.load_state_dict(source.state_dict(), strict=False)


@pytest.mark.parametrize(
    'other, found',
    [
        (KWConv2d(4, 4, 3, budget=2), 'it has 1 layer, budget b = 2, 1 warehouse .cells. where'),
        (KWConv2d(4, 4, 3, reduction=8), r'\(attention.fc1.weight is \(32, 4\) for \(16, 4\)\)'),
        (nn.Conv2d(4, 4, 3), 'it has a network without dynamic layers'),
    ],
)
def test_a_layer_with_its_own_warehouse(other, found):
    with pytest.raises(MisfitError, match=found):
        load(KWConv2d(4, 4, 3), other)


def test_more_stages_than_the_network_has_are_no_misfit():
    state = Network(1).state_dict()
    state.update({'warehouses.more': torch.zeros(1), 'more.weight': torch.zeros(1)})
    Network(1).load_state_dict(state, strict=False)


def test_a_kw_file_for_a_plain_network():
    check_fit(Network(), Network().state_dict())
    with pytest.raises(MisfitError, match='is of a KernelWarehouse network, and Network is plain: .*tools/fold.py'):
        check_fit(Network(), Network(1).state_dict())
