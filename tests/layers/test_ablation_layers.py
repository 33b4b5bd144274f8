"""Layers under the paper's ablations, against independent sketches of what they shall be."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmkw import convert, set_temperature
from mmkw.layers import KWConv2d, Warehouse, WarehousePlan, Warehouses
from mmkw.ops import Cut


class DynamicConv2d(nn.Module):
    """Ordinary dynamic convolution of the textbook: n full kernels, attention, weighted sum, a convolution a sample."""

    def __init__(self, attention, kernels, function):
        super().__init__()
        self.fc1, self.norm, self.fc2 = attention.fc1, attention.norm1, attention.fc2
        self.kernels, self.function = kernels, function

    def forward(self, x):
        n = len(self.kernels)
        hidden = torch.relu(self.norm(F.linear(x.mean(dim=(2, 3)), self.fc1.weight)))
        pi = self.function(F.linear(hidden, self.fc2.weight[:n], self.fc2.bias[:n]))  # without the zero cell
        return torch.cat(
            [
                F.conv2d(x[b : b + 1], sum(pi[b, j] * self.kernels[j] for j in range(n)), padding=1, groups=2)
                for b in range(len(x))
            ]
        )


FULL_KERNELS = dict(padding=1, groups=2, bias=False, spatial_partition=False, channel_partition=False)


@pytest.mark.parametrize('kernels', [1, 4])
@pytest.mark.parametrize(
    'attention, function', [('softmax', lambda z: z.softmax(-1)), ('sigmoid', lambda z: 1 / (1 + (-z).exp()))]
)
def test_cells_as_large_as_the_kernel_are_ordinary_dynamic_convolution(attention, function, kernels):
    torch.manual_seed(0)
    layer = KWConv2d(4, 6, 3, budget=kernels, attention=attention, **FULL_KERNELS).double()
    assert layer.cells.shape == (kernels, 6, 2, 3, 3)
    with torch.no_grad():
        layer.attention.fc2.bias[-1] = -torch.inf  # softmax has nothing left for the zero cell, which others lack
    textbook = DynamicConv2d(layer.attention, layer.cells, function)
    x, weigh = torch.randn(2, 3, 4, 5, 5, dtype=torch.double)
    grads = []
    for network in (layer, textbook):
        out = network(x)
        grads.append([out, *torch.autograd.grad((out * weigh[:, :1]).sum(), [layer.cells, layer.attention.fc1.weight])])
    for ours, theirs in zip(*grads):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    'start, rows', [('one_to_one', [1, 0]), ('several_to_one', [0.5, 0.5]), ('all_to_one', [1 / 18] * 18)]
)
def test_at_temperature_one_a_layer_is_its_start(start, rows):
    layer = KWConv2d(4, 8, 3, budget=2, start=start).double().eval()
    set_temperature(layer, 1)
    first = sum(weight * cell for weight, cell in zip(rows, layer.cells))[..., 0, 0]
    kernel = layer.kernel(torch.randn(1, 4, 5, 5).double())[0]
    torch.testing.assert_close(kernel[..., 0, 0], first)


def test_without_a_start_the_temperature_changes_nothing():
    layer = KWConv2d(4, 8, 3, start='none').eval()
    x = torch.randn(2, 4, 5, 5)
    cold = layer(x)
    set_temperature(layer, 1)
    assert torch.equal(layer(x), cold)


@pytest.mark.parametrize('start', ['one_to_one', 'several_to_one', 'all_to_one', 'none'])
def test_every_start_hands_out_and_initialises_the_same_cells(start):
    def layer(start):
        torch.manual_seed(0)
        return KWConv2d(4, 8, 3, budget=2, start=start)

    assert torch.equal(layer(start).cells, layer('one_to_one').cells)


@pytest.mark.parametrize('start', ['several_to_one', 'all_to_one', 'none'])
def test_start_assignment_is_of_single_cells(start):
    with pytest.raises(ValueError, match=f"start='{start}' assigns no single cell"):
        KWConv2d(4, 8, 3, budget=2, start=start).start_assignment()


@pytest.mark.parametrize('attention', ['caf', 'softmax', 'sigmoid'])
@pytest.mark.parametrize('start', ['one_to_one', 'several_to_one', 'all_to_one', 'none'])
@pytest.mark.parametrize('temperature', [0.0, 0.25])
def test_mixtures_that_share_no_cell_mix_their_own(attention, start, temperature):
    layer = KWConv2d(4, 8, 3, budget=2, attention=attention, start=start, share_cells=False).double().eval()
    set_temperature(layer, temperature)
    x = torch.randn(3, 4, 5, 5, dtype=torch.double)
    logits = layer.attention(x.mean((2, 3)))
    assert logits.shape == (3, 9, 3)
    weigh = {
        'caf': lambda z: z / (z.abs().sum(-1, keepdim=True) + 1e-3),
        'softmax': lambda z: z.softmax(-1),
        'sigmoid': torch.sigmoid,
    }[attention]
    beta = {'one_to_one': [1, 0], 'several_to_one': [0.5, 0.5], 'all_to_one': [0.5, 0.5], 'none': [0, 0]}[start]
    tau = 0 if start == 'none' else temperature
    alpha = (1 - tau) * weigh(logits)[..., :2] + tau * torch.tensor(beta, dtype=torch.double)
    own = layer.cells.reshape(9, 2, 8, 4)
    expected = torch.einsum('bsj,sjoi->bois', alpha, own).reshape(3, 8, 4, 3, 3)
    torch.testing.assert_close(layer.kernel(x), expected)


def test_mixtures_that_share_no_cell_start_like_others():
    def assignment(**kwargs):
        return KWConv2d(4, 8, 3, budget=2, **kwargs).start_assignment()

    assert assignment(share_cells=False) == assignment()


FORMS = {
    'plain': dict(budget=2),
    'zero cells': dict(budget=0.5, cell_inplane_ratio=0.5, cell_outplane_ratio=0.5),
    'several': dict(budget=2, start='several_to_one'),
    'all': dict(start='all_to_one'),
    'own cells': dict(budget=2, share_cells=False),
}


@pytest.mark.parametrize('form', FORMS.values(), ids=FORMS)
def test_an_attention_that_starts_at_the_start_is_there_at_every_temperature(form):
    stays_at_its_start(KWConv2d(4, 8, 3, attention_init='start', **form).double())


def test_an_attention_with_a_basis_starts_there_too():
    plan = WarehousePlan(['0', '1'], budget=2, nonlocal_basis_ratio=0.5, attention_init='start')
    network = convert(nn.Sequential(nn.Conv2d(4, 8, 3), nn.Conv2d(8, 8, 3)), {'both': plan}).double()
    stays_at_its_start(network[0])


def stays_at_its_start(layer):
    x = torch.randn(3, 4, 5, 5, dtype=torch.double)
    for temperature in (0, 0.5, 1):
        layer.temperature.fill_(temperature)
        torch.testing.assert_close(layer.alpha(x), layer.beta.double().expand(3, -1, -1), rtol=1.1e-3, atol=0)
    layer.reset_attention()
    layer.temperature.fill_(0)
    torch.testing.assert_close(layer.alpha(x), layer.beta.double().expand(3, -1, -1), rtol=1.1e-3, atol=0)
    # It is no dead end: after one step the kernels depend on the input.
    (layer(x) * torch.randn(3, 8, 3, 3, dtype=torch.double)).sum().backward()
    with torch.no_grad():
        for parameter in layer.parameters():
            if parameter.grad is not None:
                parameter -= 0.1 * parameter.grad
    assert (layer.alpha(x) - layer.alpha(x)[:1]).abs().max() > 1e-3


def test_channels_are_not_cut_without_channel_partition():
    assert KWConv2d(4, 8, 3, channel_partition=False).cells.shape == (9, 8, 4, 1, 1)


def shared(**kwargs):
    return Warehouse(Warehouses(), 'both', [(8, 4, 3, 3), (8, 4, 1, 1)], **kwargs)


@pytest.mark.parametrize(
    'build, message',
    [
        (lambda: KWConv2d(4, 8, 3, attention='relu'), "attention must be one of caf, softmax, sigmoid, got 'relu'"),
        (lambda: KWConv2d(4, 8, 3, start='two'), "start must be one of .* got 'two'"),
        (lambda: KWConv2d(4, 8, 3, attention_init='zero'), "attention_init must be one of random, start, got 'zero'"),
        (lambda: KWConv2d(4, 8, 3, attention_init='start', start='none'), "needs attention='caf' and a start .*'none'"),
        (lambda: KWConv2d(4, 8, 3, attention_init='start', attention='softmax'), "needs attention='caf' .*'softmax'"),
        (lambda: KWConv2d(4, 8, 3, share_cells=False, warehouse=shared(budget=1)), "needs a whole budget .* 'both'"),
        (
            lambda: KWConv2d(4, 8, 3, budget=0.5, cell_inplane_ratio=0.5, cell_outplane_ratio=0.5, share_cells=False),
            'share_cells=False needs a whole budget .*36 mixtures at budget 0.5',
        ),
        (lambda: KWConv2d(4, 8, 3, share_cells=False, nonlocal_basis_ratio=0.5), 'nonlocal_basis_ratio=0.5 is for'),
        (lambda: KWConv2d(4, 8, 3, channel_partition=False, cell_inplane_ratio=0.5), 'set both to 1'),
        (
            lambda: Warehouse(Warehouses(), 'a', [(8, 4, 1, 1), (8, 8, 1, 1)], 1, Cut(channel_partition=False)),
            r"'a': layers with different channels \[\(8, 4\), \(8, 8\)\] cannot share",
        ),
    ],
)
def test_what_does_not_fit_together(build, message):
    with pytest.raises(ValueError, match=message):
        build()
