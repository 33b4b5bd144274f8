"""Attention over each picture's own extent, in every method: what is outside decides nothing; unknown is an error."""

import copy

import pytest
import torch
from torch import nn

from layer_makers import FORMS, layer_of
from mmkw.layers import (
    CGCConv2d,
    KWConv2d,
    Pictures,
    by_definition,
    dynamic_layers,
    known_pictures,
    pictures_now,
    pool_over_pictures,
    pools_over_pictures,
)

OVER_MAPS = [name for name, form in FORMS.items() if len(form.shape) == 4 and 'Linear' not in name]
OTHERS = [name for name in FORMS if name not in OVER_MAPS]


@pytest.fixture(params=OVER_MAPS)
def over_pictures(request):
    """A layer that pools over pictures, an input, and pictures that fill 3 x 2, 2 x 3 and all of their maps."""
    layer, x = layer_of(request.param)
    pool_over_pictures(layer)
    height, width = x.shape[2:]
    return layer, x, Pictures([(3, 2), (2, 3), (height, width)], (height, width))


def with_other_padding(x, pictures):
    other = torch.randn_like(x)
    for mine, theirs, (rows, columns) in zip(other, x, pictures.sizes):
        mine[:, :rows, :columns] = theirs[:, :rows, :columns]
    return other


def test_attention_depends_on_the_pictures_alone(over_pictures):
    layer, x, pictures = over_pictures
    if isinstance(layer, nn.GroupNorm):  # whose own statistics are over the padding too, gate or no gate
        layer, x = layer.gate, x.clone()
        layer.alpha = layer.attention_map = layer.scale
    other = with_other_padding(x, pictures)
    with known_pictures(layer, pictures):
        alpha = layer.alpha(x)
        assert torch.equal(layer.alpha(other), alpha)
        assert torch.equal(layer.attention_map(other), layer.attention_map(x))
    for i, (rows, columns) in enumerate(pictures.sizes):
        crop = x[i : i + 1, :, :rows, :columns]
        with known_pictures(layer, Pictures.filling(crop)):
            torch.testing.assert_close(layer.alpha(crop)[0], alpha[i], rtol=1e-10, atol=1e-12)
    with known_pictures(layer, Pictures.filling(x)):
        assert (layer.alpha(other) - layer.alpha(x)).abs().max() > 1e-6


def test_the_pass_uses_this_attention(over_pictures):
    layer, x, pictures = over_pictures
    with known_pictures(layer, pictures):
        found = layer(x)
        with by_definition(layer):
            torch.testing.assert_close(found, layer(x), rtol=1e-10, atol=1e-10)
    with known_pictures(layer, Pictures.filling(x)):
        assert (found - layer(x)).abs().max() > 1e-6
        torch.testing.assert_close(found[2], layer(x)[2], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    'name', ['KW pointwise', 'ODConv2d pointwise', 'DYConv2d pointwise', 'WeightNetConv2d pointwise']
)
def test_layers_without_a_window_compute_nothing_of_the_padding(name):
    layer, x = layer_of(name)
    pool_over_pictures(layer)
    pictures = Pictures([(3, 2)] * len(x), tuple(x.shape[2:]))
    with known_pictures(layer, pictures):
        first, second = layer(x), layer(with_other_padding(x, pictures))
    assert torch.equal(first[:, :, :2, :1], second[:, :, :2, :1])  # the stride is 2
    assert not torch.equal(first, second)


def test_gradients_are_numerically_right(over_pictures):
    layer, x, pictures = over_pictures
    parameters = dict(layer.named_parameters())

    def run(x, *values):
        return torch.func.functional_call(layer, dict(zip(parameters, values)), (x,)).sum()

    with known_pictures(layer, pictures):
        inputs = (x.requires_grad_(), *parameters.values())
        assert torch.autograd.gradcheck(run, inputs, fast_mode=True, check_undefined_grad=False)


def test_half_precision_is_close_to_float32(over_pictures, request):
    layer, x, pictures = over_pictures
    layer, x = layer.float(), x.float()
    with known_pictures(layer, pictures):
        exact = layer(x)
        if not FORMS[request.node.callspec.params['over_pictures']].has_kernels:
            x = x.bfloat16()
        with torch.autocast('cpu', torch.bfloat16):
            out = layer(x)
    assert (out.float() - exact).norm() < 0.03 * exact.norm()
    out.float().square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())


def test_pictures_that_fill_their_inputs_change_no_bit(over_pictures):
    layer, x, _ = over_pictures
    plain = copy.deepcopy(layer)
    for module in plain.modules():
        if getattr(module, 'extent', None) is not None:
            module.extent = None
    assert not pools_over_pictures(plain)
    with known_pictures(layer, Pictures.filling(x)):
        assert torch.equal(layer(x), plain(x))


def test_unknown_pictures_are_an_error(over_pictures):
    layer, x, pictures = over_pictures
    with pytest.raises(RuntimeError, match='mine'), known_pictures(layer, pictures):
        raise RuntimeError('mine')
    with pytest.raises(ValueError, match='it is not known here how much of the batch each picture fills'):
        layer(x)


@pytest.mark.parametrize('name', OTHERS)
def test_layers_that_see_no_maps_are_refused_and_nothing_is_changed(name):
    layer, _ = layer_of(name)
    network = nn.Sequential(KWConv2d(4, 4, 1), layer)
    with pytest.raises(ValueError, match=f"'1' is a {type(layer).__name__}: leave it plain"):
        pool_over_pictures(network)
    assert not pools_over_pictures(network)


def test_a_network_without_dynamic_layers_is_refused():
    with pytest.raises(ValueError, match='Conv2d has no dynamic layer'):
        pool_over_pictures(nn.Conv2d(4, 4, 1))


@pytest.mark.parametrize('size', [(0, 4), (4, 9), (9, 4)])
def test_pictures_that_do_not_fit_are_an_error(size):
    layer = CGCConv2d(4, 6, 3)
    pool_over_pictures(layer)
    with pytest.raises(ValueError, match=rf'size \({size[0]}, {size[1]}\) does not fit in an input of \(8, 8\)'):
        known_pictures(layer, Pictures([(8, 8), size], (8, 8))).__enter__()
    assert pictures_now(layer) is None


def test_all_layers_of_a_copy_still_know_the_same_pictures():
    network = nn.Sequential(KWConv2d(4, 4, 1), CGCConv2d(4, 6, 3)).eval()
    pool_over_pictures(network)
    copied = copy.deepcopy(network)
    x = torch.randn(2, 4, 8, 8)
    with known_pictures(copied, Pictures([(4, 4), (8, 8)], (8, 8))):
        found = copied(x)
        with pytest.raises(ValueError, match='not known'):
            network(x)
    with known_pictures(network, Pictures([(4, 4), (8, 8)], (8, 8))):
        assert torch.equal(network(x), found)
    assert len(dynamic_layers(copied)) == 2


def test_a_gate_that_gets_another_norm_keeps_its_extent():
    layer, x = layer_of('SE')
    pool_over_pictures(layer)
    network = nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(layer))
    assert isinstance(network[0], nn.SyncBatchNorm)
    with pytest.raises(ValueError, match='not known'):
        network[0].alpha(x)
    with known_pictures(network, Pictures.filling(x)):
        assert network[0].alpha(x).shape == (3, 4)
