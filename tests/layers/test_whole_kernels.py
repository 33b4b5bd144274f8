"""DY-Conv and CondConv beyond what every dynamic layer does."""

import math

import pytest
import torch
from torch import nn

from mmkw import set_temperature
from mmkw.layers import CondConv2d, CondConvLinear, DYConv2d, KWConv2d


def test_dyconv_averages_its_kernels_by_a_softmax_that_the_temperature_flattens():
    layer = DYConv2d(8, 6, 3, reduction=1).double()
    x = torch.randn(2, 8, 5, 5, dtype=torch.double)
    attention = layer.attention
    logits = attention.fc2(attention.fc1(x.mean((2, 3))).relu())
    for temperature in (1, 30):
        set_temperature(layer, temperature)
        weights = (logits / temperature).softmax(1)
        torch.testing.assert_close(layer.kernel(x), torch.einsum('bj,joiuv->boiuv', weights, layer.kernels))
    assert weights.std() < 0.1 * logits.softmax(1).std()


@pytest.mark.parametrize('in_channels, hidden', [(64, 16), (6, 1), (3, 1)])
def test_dyconv_hidden_width(in_channels, hidden):
    attention = DYConv2d(in_channels, 4, 1).attention
    assert (attention.fc1.out_features, attention.fc2.out_features) == (hidden, 4)
    assert attention.fc1.bias is not None


def test_every_kernel_starts_as_a_plain_one():
    for layer in (DYConv2d(64, 128, 3), CondConv2d(64, 128, 3)):
        for kernel in layer.kernels:
            assert kernel.std().item() == pytest.approx(math.sqrt(2 / (128 * 9)), rel=0.03)


def test_dyconv_attention_initialisation():
    attention = DYConv2d(1024, 4, 1).attention
    assert attention.fc1.weight.std().item() == pytest.approx(math.sqrt(2 / 256), rel=0.03)
    assert not attention.fc1.bias.any() and not attention.fc2.bias.any()


def test_condconv_sums_its_experts_by_sigmoids():
    layer = CondConv2d(8, 6, 3, experts=5).double()
    x = torch.randn(2, 8, 5, 5, dtype=torch.double)
    weights = layer.route.fc(x.mean((2, 3))).sigmoid()
    torch.testing.assert_close(layer.kernel(x), torch.einsum('bj,joiuv->boiuv', weights, layer.kernels))


def test_condconv_linear_is_the_pointwise_convolution():
    linear, conv = CondConvLinear(8, 6).double(), CondConv2d(8, 6, 1).double()
    own = linear.state_dict()
    linear.load_state_dict({key: value.reshape(own[key].shape) for key, value in conv.state_dict().items()})
    x = torch.randn(2, 8, dtype=torch.double)
    torch.testing.assert_close(linear(x), conv(x[..., None, None])[..., 0, 0])


def test_a_classifier_mixes_its_outputs(monkeypatch):
    monkeypatch.setattr('mmkw.layers.bank.mixture_conv', None)
    assert CondConvLinear(512, 10)(torch.randn(2, 512)).shape == (2, 10)


def test_kernel_warehouse_with_whole_kernels_as_cells_is_dyconv():
    """The paper's discussion: one kernel as a mixture of whole kernels of the layer's own under a softmax."""
    torch.manual_seed(0)
    whole = dict(spatial_partition=False, channel_partition=False, budget=4)
    warehouse = KWConv2d(64, 8, 3, padding=1, reduction=1 / 4, attention='softmax', start='none', **whole).double()
    dyconv = DYConv2d(64, 8, 3, padding=1, kernels=4, reduction=1 / 4).double()
    for p in dyconv.attention.parameters():
        nn.init.normal_(p, std=0.3)
    ours, theirs = warehouse.attention, dyconv.attention
    with torch.no_grad():
        warehouse.cells.copy_(dyconv.kernels)
        ours.fc1.weight.copy_(theirs.fc1.weight)
        # Fresh statistics make the norm a scale and a shift.
        ours.norm1.weight.fill_(math.sqrt(1 + ours.norm1.eps))
        ours.norm1.bias.copy_(theirs.fc1.bias)
        # The zero cell, which DY-Conv does not have, gets no weight.
        ours.fc2.weight.copy_(torch.cat((theirs.fc2.weight, torch.zeros(1, 16))))
        ours.fc2.bias.copy_(torch.cat((theirs.fc2.bias, torch.tensor([-1e9]))))
    x = torch.randn(3, 64, 6, 6, dtype=torch.double)
    torch.testing.assert_close(warehouse.eval()(x), dyconv(x))


@pytest.mark.parametrize(
    'make, message',
    [
        (lambda: DYConv2d(4, 4, 3, kernels=0), 'kernels must be a whole number above 0, got 0'),
        (lambda: DYConv2d(4, 4, 3, kernels=1.5), 'kernels must be a whole number above 0, got 1.5'),
        (lambda: DYConv2d(4, 4, 3, reduction=0), 'reduction must be above 0, got 0'),
        (lambda: DYConv2d(4, 4, 3, reduction=float('nan')), 'reduction must be above 0, got nan'),
        (lambda: CondConv2d(4, 4, 3, experts=-1), 'experts must be a whole number above 0, got -1'),
        (lambda: CondConv2d(4, 6, 3, groups=3), 'groups=3 must divide in_channels=4'),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
