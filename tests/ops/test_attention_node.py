"""The attention as one node is the modules, one after another: values, gradients and running statistics."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mmkw.ops import contrasting_attention
from mmkw.ops.attention import Norm, attention_basis, attention_weights
from mmkw.ops.textbook import weights_of_mix


def build(norm, m=3, n=4, hidden=5, channels=6, batch=7, seed=0):
    """First layer, norm, second layer, beta and a pooled input in float64."""
    torch.manual_seed(seed)
    layers = [nn.Linear(channels, hidden, bias=isinstance(norm, nn.LayerNorm)), norm, nn.Linear(hidden, m * (n + 1))]
    for layer in layers:
        layer.double()
        for p in layer.parameters():
            nn.init.normal_(p)
    beta = torch.eye(max(m, n), dtype=torch.double)[:m, :n]
    return layers, beta, torch.randn(batch, channels, dtype=torch.double, requires_grad=True)


NORMS = {
    'batch': lambda: nn.BatchNorm1d(5),
    'batch, evaluated': lambda: nn.BatchNorm1d(5).eval(),
    'cumulative': lambda: nn.BatchNorm1d(5, momentum=None),
    'untracked': lambda: nn.BatchNorm1d(5, track_running_stats=False).eval(),
    'layer': lambda: nn.LayerNorm(5),
}


def modules(layers, beta, tau, pooled):
    fc1, norm, fc2 = layers
    z = fc2(norm(fc1(pooled)).relu()).unflatten(-1, (len(beta), -1))
    return contrasting_attention(z, 0.0 if tau is None else tau, beta)


def node(layers, beta, tau, pooled, as_code=False):
    fc1, norm, fc2 = layers
    numbers = (Norm.of(norm), norm.weight, norm.bias)
    return attention_weights(pooled, (fc1.weight, fc1.bias), numbers, (fc2.weight, fc2.bias), tau, beta, as_code)


def by_basis(layers, beta, tau, pooled):
    code = node(layers, beta, tau, pooled, as_code=True)
    return weights_of_mix(code, attention_basis(layers[2].weight, layers[2].bias, beta, tau is not None))


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(list(NORMS)),
    tau=st.sampled_from([None, 0.0, 0.3, 1.0]),
    form=st.sampled_from([node, by_basis]),
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    batch=st.integers(2, 6),
    seed=st.integers(0, 2**20),
)
def test_weights_gradients_and_statistics_are_those_of_the_modules(kind, tau, form, sizes, batch, seed):
    layers, beta, pooled = build(NORMS[kind](), *sizes, batch=batch, seed=seed)
    tau = None if tau is None else torch.tensor(tau, dtype=torch.double)
    others = copy.deepcopy(layers)
    found, expected = form(layers, beta, tau, pooled), modules(others, beta, tau, pooled)
    torch.testing.assert_close(found, expected)
    grad = torch.randn_like(expected)
    leaves, theirs = ([pooled, *(p for layer in group for p in layer.parameters())] for group in (layers, others))
    for ours, autograds in zip(torch.autograd.grad(found, leaves, grad), torch.autograd.grad(expected, theirs, grad)):
        torch.testing.assert_close(ours, autograds)
    for ours, theirs in zip(layers[1].buffers(), others[1].buffers()):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize('kind', ['batch', 'batch, evaluated', 'layer'])
@pytest.mark.parametrize('form', [node, by_basis])
def test_gradients_are_those_of_finite_differences(kind, form):
    layers, beta, pooled = build(NORMS[kind]())
    tau = torch.tensor(0.3, dtype=torch.double)
    parameters = [p for layer in layers for p in layer.parameters()]
    assert torch.autograd.gradcheck(lambda pooled, *_: form(layers, beta, tau, pooled), (pooled, *parameters))


def test_two_passes_before_a_backward_pass():
    """As with recomputed activations: the running statistics have moved on, and training does not need them."""
    layers, beta, pooled = build(nn.BatchNorm1d(5))
    first = node(layers, beta, None, pooled)
    node(layers, beta, None, 2 * pooled)
    (found,) = torch.autograd.grad(first.sum(), pooled)
    torch.testing.assert_close(found, torch.autograd.grad(modules(layers, beta, None, pooled).sum(), pooled)[0])


def test_frozen_parts_get_no_gradient():
    layers, beta, pooled = build(nn.BatchNorm1d(5))
    for layer in layers[:2]:
        layer.requires_grad_(False)
    node(layers, beta, None, pooled.detach()).square().sum().backward()
    assert layers[2].weight.grad is not None and layers[0].weight.grad is None
