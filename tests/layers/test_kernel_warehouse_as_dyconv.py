"""KernelWarehouse without its own parts is DY-Conv, as the real classes of both compute it."""

import copy

import torch
from torch import nn

from mmkw import convert
from mmkw.layers import DYConv2d, KWConv2d, dynamic_layers
from mmkw.plans import method_plan

# See docs/ablations.md: a warehouse a layer, with cells as large as the kernel, and neither start nor contrast.
REDUCED = dict(
    budget=4,
    attention='softmax',
    start='none',
    sharing='layer',
    spatial_partition=False,
    channel_partition=False,
    norm='BN',
)


def converted(network, method, **settings):
    network = copy.deepcopy(network)
    return convert(network, method_plan(network, method, log=lambda text: None, **settings)).double().eval()


@torch.no_grad()
def make_equal(kw, dy):
    """Give a KWConv2d the values of a DYConv2d, whose attentions have to be the same function."""
    ours, theirs = kw.attention, dy.attention
    kw.cells.copy_(dy.kernels)
    ours.fc1.weight.copy_(theirs.fc1.weight)
    # Held at mean 0 and variance 1, the norm adds its bias, which DY-Conv's first layer has itself.
    ours.norm1.running_var.fill_(1 - ours.norm1.eps)
    ours.norm1.bias.copy_(theirs.fc1.bias)
    ours.fc2.weight[:-1], ours.fc2.bias[:-1] = theirs.fc2.weight, theirs.fc2.bias
    ours.fc2.weight[-1], ours.fc2.bias[-1] = 0, -torch.inf  # the zero cell, which DY-Conv has not


def test_outputs_and_gradients_are_the_same():
    torch.manual_seed(0)
    # Two layers of different shapes, each of 64 inputs, where both methods have 16 hidden channels by default.
    network = nn.Sequential(
        nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3, 2, 1, bias=False), nn.Tanh(), nn.Conv2d(64, 24, 1)
    )
    kw_network, dy_network = converted(network, 'KernelWarehouse', **REDUCED), converted(network, 'DYConv')
    kw_layers, dy_layers = dynamic_layers(kw_network).values(), dynamic_layers(dy_network).values()
    assert [type(layer) for layer in kw_layers] == [KWConv2d] * 2
    assert [type(layer) for layer in dy_layers] == [DYConv2d] * 2
    for dy in dy_layers:
        nn.init.normal_(dy.attention.fc1.bias)
        nn.init.normal_(dy.attention.fc2.bias)
    for kw, dy in zip(kw_layers, dy_layers):
        make_equal(kw, dy)

    x = torch.randn(3, 3, 12, 12, dtype=torch.double)
    results = []
    for number, found in enumerate((kw_network, dy_network)):
        image = x.clone().requires_grad_()
        out = found(image)
        out.square().sum().backward()
        results.append([out, image.grad, found[0].weight.grad, found[4].bias.grad])
        for layer in dynamic_layers(found).values():
            fc1, fc2 = layer.attention.fc1, layer.attention.fc2
            bias = fc1.bias if number else layer.attention.norm1.bias
            results[-1] += [layer.bank.grad, fc1.weight.grad, bias.grad, fc2.weight.grad[:4], fc2.bias.grad[:4]]
    for ours, theirs in zip(*results):
        assert theirs.abs().max() > 1e-4
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
