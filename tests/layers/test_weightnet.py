"""WeightNet beyond what every dynamic layer does."""

import pytest
import torch
import torch.nn.functional as F

from mmkw.layers import WeightNetConv2d


def grouped_layer(layer, a, groups):
    """The paper's kernel: a grouped linear layer without bias, from a, as a pointwise convolution."""
    weight = layer.kernels.flatten(1).t().reshape(-1, len(layer.kernels), 1, 1)
    out = F.conv2d(a[..., None, None], weight, groups=groups)
    return out.reshape(-1, *layer.kernel_shape)


@pytest.mark.parametrize('m, g', [(2, 2), (4, 2), (2, 1), (3, 3), (8, 2)])
def test_the_kernel_is_a_grouped_layers_output(m, g):
    layer = WeightNetConv2d(6, 8, 3, m=m, g=g).double()
    x = torch.randn(2, 6, 5, 5, dtype=torch.double)
    a = layer.fc1(layer.reduce.fc(x.mean((2, 3)))).sigmoid()
    assert a.shape == (2, m * 8)
    torch.testing.assert_close(layer.kernel(x), grouped_layer(layer, a, g * 8))


@pytest.mark.parametrize('m, values', [(2, 6), (4, 12)])
def test_a_depthwise_kernel_is_a_grouped_layers_output(m, values):
    layer = WeightNetConv2d(6, 6, 3, groups=6, m=m).double()
    x = torch.randn(2, 6, 5, 5, dtype=torch.double)
    a = layer.fc1(layer.reduce.fc(x.mean((2, 3)))).sigmoid()
    assert a.shape == (2, values)
    torch.testing.assert_close(layer.kernel(x), grouped_layer(layer, a, 6))


def test_with_as_many_values_as_parts_no_sample_needs_a_kernel(monkeypatch):
    monkeypatch.setattr(WeightNetConv2d, 'kernel_of', None)
    assert WeightNetConv2d(8, 6, 3)(torch.randn(2, 8, 4, 4)).shape == (2, 6, 2, 2)


@pytest.mark.parametrize('in_channels, length', [(512, 32), (64, 16)])
def test_length_of_the_vector(in_channels, length):
    layer = WeightNetConv2d(in_channels, 4, 1)
    assert layer.reduce.fc.out_features == layer.fc1.in_features == length


def test_initialisation():
    layer = WeightNetConv2d(1024, 512, 3)
    assert layer.reduce.fc.weight.std().item() == pytest.approx(1 / 1024, rel=0.03)
    assert layer.fc1.weight.std().item() == pytest.approx(1 / 64, rel=0.03)
    assert layer.kernels.std().item() == pytest.approx(2 / (1024 * 9), rel=0.03)
    assert not layer.reduce.fc.bias.any() and not layer.fc1.bias.any()
    depthwise = WeightNetConv2d(1024, 1024, 3, groups=1024)
    assert depthwise.kernels.std().item() == pytest.approx(1 / 9, rel=0.03)


@pytest.mark.parametrize(
    'args, settings, message',
    [
        ((4, 4, 3), dict(m=3), 'g=2 must divide m=3'),
        ((4, 4, 3), dict(m=0), 'm must be a whole number above 0, got 0'),
        ((3, 4, 3), {}, 'g=2 must divide what a filter sees, 3 x 3 x 3 values'),
        ((4, 4, 3), dict(reduction=0), 'reduction must be above 0, got 0'),
    ],
)
def test_wrong_arguments_are_named(args, settings, message):
    with pytest.raises(ValueError, match=message):
        WeightNetConv2d(*args, **settings)
