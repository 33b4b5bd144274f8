"""CGC's formula, and what it is not defined for."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmkw import convert
from mmkw.conversion import warm_start
from mmkw.layers import CGCConv2d, CGCSpec


def test_a_kernel_by_the_formula():
    """Of one sample, one matrix at a time; 32 input channels are mixed in two groups of 16, into 2 channels each."""
    torch.manual_seed(0)
    layer = CGCConv2d(32, 4, 3).double().eval()
    attention = layer.attention
    x = torch.randn(1, 32, 8, 5, dtype=torch.double)

    context = F.adaptive_avg_pool2d(x, 3)[0].flatten(1) @ attention.fc_context.weight.T
    assert context.shape == (32, 5)
    inner = attention.norm_in(context[None])[0].relu() @ attention.fc_in.weight.T
    normed = attention.norm_mix(context[None])[0].relu()
    mixed = torch.cat([attention.fc_mix.weight @ normed[start : start + 16] for start in (0, 16)])
    outer = attention.norm_out(mixed[None])[0].relu() @ attention.fc_out.weight.T
    for out in range(4):
        for channel in range(32):
            expected = layer.weight[out, channel] * (inner[channel] + outer[out]).sigmoid().view(3, 3)
            torch.testing.assert_close(layer.kernel(x)[0, out, channel], expected)


@pytest.mark.parametrize('window, latent', [(1, 1), (3, 5), (7, 25)])
def test_length_of_a_channels_context(window, latent):
    assert CGCConv2d(4, 4, window).attention.fc_context.out_features == latent


@pytest.mark.parametrize(
    'sizes, message',
    [
        (dict(in_channels=4, out_channels=4, groups=2), 'groups=1 alone, got groups=2'),
        (dict(in_channels=24, out_channels=4), 'groups of 16.* got in_channels=24 and out_channels=4'),
        (dict(in_channels=48, out_channels=4), 'groups of 16.* got in_channels=48 and out_channels=4'),
    ],
)
def test_what_it_cannot_do(sizes, message):
    with pytest.raises(ValueError, match=message):
        CGCConv2d(kernel_size=3, **sizes)
    with pytest.raises(ValueError, match=f"names '0', a Conv2d; .*{message}"):
        convert(nn.Sequential(nn.Conv2d(kernel_size=3, **sizes)), {'a': CGCSpec(['0'])})


@pytest.mark.parametrize('plain', [nn.Linear(4, 4), nn.Conv1d(4, 4, 3), nn.Conv3d(4, 4, 3)])
def test_what_it_is_not_for(plain):
    with pytest.raises(ValueError, match=f"names '0', a {type(plain).__name__}; CGC replaces 2-d convolutions"):
        convert(nn.Sequential(plain), {'a': CGCSpec(['0'])})


def test_a_warm_start_is_exact():
    plain = nn.Sequential(nn.Conv2d(4, 6, 3)).double()
    model = convert(nn.Sequential(nn.Conv2d(4, 6, 3)).double(), {'a': CGCSpec(['0'])})
    assert set(warm_start(model, plain.state_dict()).values()) == {0.0}
    x = torch.randn(2, 4, 6, 5, dtype=torch.double)
    torch.testing.assert_close(model(x), plain(x))
    model(x).square().mean().backward()
    assert model[0].attention.fc_in.weight.grad.any() and model[0].attention.fc_out.weight.grad.any()


def test_a_pointwise_layer_needs_two_samples_in_training():
    layer = CGCConv2d(16, 16, 1)
    assert layer.needs_two_samples
    with pytest.raises(ValueError, match='more than 1 value per channel when training'):
        layer(torch.randn(1, 16, 4, 4))
    assert not layer.eval().needs_two_samples
    assert not CGCConv2d(16, 16, 3).needs_two_samples
