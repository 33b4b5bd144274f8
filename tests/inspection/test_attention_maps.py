"""Mean attentions equal those of the formulas written out."""

import pytest
import torch
from torch import nn

from mmkw import convert, set_temperature
from mmkw.inspection import attention_maps
from mmkw.plans import WarehousePlan


def network(**settings):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 1))
    return convert(model, {'body': WarehousePlan(['1', '3'], **settings)}).eval()


def batches():
    return [torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(1)), torch.ones(1, 3, 4, 4)]


@pytest.mark.parametrize('tau', [0.0, 0.25])
def test_mean_over_samples_with_the_zero_cell(tau):
    model = network()
    set_temperature(model, tau)
    (found,) = attention_maps(model, model, batches())
    x = torch.cat(batches())
    z = model[1].attention(model[0](x).mean((2, 3)))
    beta = torch.cat((model[1].beta, torch.zeros(9, 1)), 1)
    alpha = (1 - tau) * z / (z.abs().sum(-1, keepdim=True) + 1e-3) + tau * beta
    assert found.mean.shape == (10, 11)
    torch.testing.assert_close(found.mean[:9], alpha.mean(0).double(), rtol=1e-5, atol=1e-6)


def test_layers_and_warehouse_are_named():
    model = network()
    (found,) = attention_maps(model, model, batches())
    assert (found.bank, found.layers) == ('warehouses.body', {'1': 9, '3': 1})


def test_the_start_of_every_mixture():
    half = dict(budget=0.5, cell_inplane_ratio=0.5, cell_outplane_ratio=0.5)
    model = network(**half)
    (found,) = attention_maps(model, model, batches())
    assert torch.equal(found.start[:, :-1], torch.cat((model[1].beta, model[3].beta)).double())
    # A mixture that starts at no cell starts at the zero cell.
    assert torch.equal(found.start.sum(1), torch.ones(40).double())
    set_temperature(model, 1)
    assert torch.equal(attention_maps(model, model, batches())[0].mean, found.start)


@pytest.mark.parametrize('settings', [dict(attention='softmax'), dict(attention='softmax', start='none')])
def test_softmax_sums_to_one_with_the_zero_cell(settings):
    model = network(**settings)
    set_temperature(model, 0.5)
    (found,) = attention_maps(model, model, batches())
    torch.testing.assert_close(found.mean.sum(1), torch.ones(10).double())


def test_what_the_layer_mixes_with_is_shown_without_sharing_too():
    model = network(sharing='none', budget=2)
    set_temperature(model, 0.5)
    found = attention_maps(model, model, batches()[1:])
    assert [one.layers for one in found] == [{'1': 9}, {'3': 1}]
    alpha = model[1].alpha(model[0](batches()[1]))
    torch.testing.assert_close(found[0].mean[:, :-1], alpha[0].double(), rtol=1e-5, atol=1e-6)


def test_hooks_are_gone_afterwards():
    model = network()
    attention_maps(model, model, batches())
    assert not model[1]._forward_pre_hooks


def test_a_plain_model():
    with pytest.raises(ValueError, match='Conv2d has no dynamic layer'):
        attention_maps(nn.Conv2d(3, 8, 1), nn.Identity(), [])


def test_no_input():
    model = network()
    with pytest.raises(ValueError, match='no dynamic layer was used: give at least one input'):
        attention_maps(model, model, [])
