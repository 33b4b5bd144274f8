"""A method may give every sample a bias of its own, beside a kernel."""

import torch
from torch import nn
from torch.nn import functional as F

from mmkw.conversion import fold, mean_attention
from mmkw.export import exportable
from mmkw.layers import DynamicConvNd


class Shifted(DynamicConvNd):
    """The mean of the first channel scales the kernel and is the bias."""

    dims = 2
    plain_class = nn.Conv2d

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.weight = nn.Parameter(torch.randn(self.kernel_shape))

    def alpha(self, x):
        return x[:, :1].mean((2, 3))

    def kernel_of(self, alpha):
        return alpha[..., None, None, None] * self.weight

    def bias_of(self, alpha):
        return alpha.expand(-1, self.out_channels)


def test_it_is_added():
    for bias in (True, False):  # what the layer makes of its own bias is up to it
        layer, x = Shifted(3, 4, 3, padding=1, bias=bias), torch.randn(2, 3, 5, 6)
        found = layer(x)
        for sample, out in zip(x, found):
            mean = sample[0].mean()
            torch.testing.assert_close(out, F.conv2d(sample, mean * layer.weight, mean.expand(4), padding=1))
        for dynamic in (False, True):
            with exportable(layer, dynamic):
                torch.testing.assert_close(layer(x), found)


def test_a_folded_layer_has_it():
    model, x = nn.Sequential(Shifted(3, 4, 3, bias=False)), torch.randn(1, 3, 5, 6)
    plain = fold(model, mean_attention(model, [x]))
    assert list(plain.state_dict()) == ['0.weight', '0.bias']
    torch.testing.assert_close(plain(x), model(x))
