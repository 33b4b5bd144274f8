"""ODConv beyond what every dynamic layer does."""

import math

import pytest
import torch
from torch import nn

from mmkw import set_temperature
from mmkw.layers import ODConv2d
from mmkw.layers.odconv import Factors


def attentions(layer, x, temperature):
    """The four attentions by their formulas."""
    own = layer.attention
    hidden = own.bn(own.fc(x.mean((2, 3)))).relu()

    def of(fc, function):
        return None if fc is None else function(fc(hidden) / temperature)

    layers = (own.channel_fc, own.filter_fc, own.spatial_fc)
    return Factors(*(of(fc, torch.sigmoid) for fc in layers), of(own.kernel_fc, lambda z: z.softmax(1)))


@pytest.mark.parametrize('temperature', [1, 4])
def test_the_kernel_is_scaled_along_all_four_dimensions(temperature):
    layer = ODConv2d(8, 6, 3, kernels=3).double().eval()
    set_temperature(layer, temperature)
    x = torch.randn(2, 8, 5, 5, dtype=torch.double)
    a = attentions(layer, x, temperature)
    expected = torch.einsum(
        'bi,bo,bs,bj,jois->bois', a.channel, a.filter, a.spatial, a.kernel, layer.kernels.flatten(3)
    )
    torch.testing.assert_close(layer.kernel(x).flatten(3), expected)


def test_input_channels_of_groups_are_scaled_one_by_one():
    layer = ODConv2d(8, 6, 1, groups=2, kernels=1).double().eval()
    x = torch.randn(2, 8, 3, 3, dtype=torch.double)
    a = attentions(layer, x, 1)
    kernel = layer.kernel(x)[..., 0, 0]
    expected = layer.kernels[0, :, :, 0, 0] * a.filter[:, :, None]
    torch.testing.assert_close(kernel[:, :3], expected[:, :3] * a.channel[:, None, :4])
    torch.testing.assert_close(kernel[:, 3:], expected[:, 3:] * a.channel[:, None, 4:])


@pytest.mark.parametrize(
    'args, kernels, sizes',
    [
        ((8, 6, 3), 4, (8, 6, 9, 4)),
        ((8, 6, 3), 1, (8, 6, 9, None)),
        ((8, 6, 1), 4, (8, 6, None, 4)),
        ((8, 6, 1), 1, (8, 6, None, None)),
        ((8, 8, 3, 1, 1, 1, 8), 2, (8, None, 9, 2)),
        ((8, 16, 3, 1, 1, 1, 8), 2, (8, 16, 9, 2)),
    ],
)
def test_what_would_be_constant_does_not_exist(args, kernels, sizes):
    layer = ODConv2d(*args, kernels=kernels).eval()
    layers = [getattr(layer.attention, f'{name}_fc') for name in ('channel', 'filter', 'spatial', 'kernel')]
    assert tuple(None if fc is None else fc.out_features for fc in layers) == sizes
    assert layer.alpha(torch.randn(2, 8, 4, 4)).shape[1] == sum(size or 0 for size in sizes)


@pytest.mark.parametrize('in_channels, hidden', [(512, 32), (64, 16)])
def test_hidden_width(in_channels, hidden):
    assert ODConv2d(in_channels, 4, 1).attention.fc.out_features == hidden


def test_initialisation():
    layer = ODConv2d(512, 256, 3, kernels=2)
    for kernel in layer.kernels:
        assert kernel.std().item() == pytest.approx(math.sqrt(2 / (256 * 9)), rel=0.03)
    own = layer.attention
    assert own.fc.bias is None
    assert own.fc.weight.std().item() == pytest.approx(math.sqrt(2 / 32), rel=0.03)
    assert own.channel_fc.weight.std().item() == pytest.approx(math.sqrt(2 / 512), rel=0.03)
    assert not own.channel_fc.bias.any()


def test_a_single_pointwise_kernel_needs_no_kernel_of_its_own_for_a_sample(monkeypatch):
    monkeypatch.setattr('mmkw.layers.odconv.mixture_conv', None)
    layer = ODConv2d(8, 6, 1, kernels=1).eval()
    assert layer(torch.randn(2, 8, 4, 4)).shape == (2, 6, 4, 4)


def test_its_norm_is_not_called_norm():
    # A recipe that lets names with 'norm' not decay leaves the attention's as it was published.
    norms = [name for name, module in ODConv2d(8, 8, 3).named_modules() if isinstance(module, nn.BatchNorm1d)]
    assert norms == ['attention.bn']


@pytest.mark.parametrize(
    'settings, message',
    [
        (dict(kernels=0), 'kernels must be a whole number above 0, got 0'),
        (dict(reduction=-1), 'reduction must be above 0, got -1'),
    ],
)
def test_wrong_arguments_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        ODConv2d(4, 4, 3, **settings)
