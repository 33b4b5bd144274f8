"""A layer computes what its definition says whichever factors it makes, and makes those that are less work."""

from unittest import mock

import pytest
import torch
from torch import nn

from layer_makers import FORMS, layer_of
from mmkw import set_temperature
from mmkw.layers import by_definition, dynamic_layers
from mmkw.layers.kernel_warehouse import mixing
from mmkw.ops import factored, mixture

FACTORED = [
    name for name in FORMS if name.startswith('KW') and name not in ('KW softmax', 'KW sigmoid', 'KW not sharing')
]


@pytest.fixture
def basis_first(monkeypatch):
    for module in (mixing, mixture):
        monkeypatch.setattr(module, 'mixes_basis_first', lambda *_: True)


@pytest.mark.parametrize('temperature', [0.0, 0.3, 1.0])
@pytest.mark.parametrize('name', FACTORED)
def test_output_and_gradients_with_the_basis_first(basis_first, name, temperature):
    layer, x = layer_of(name)
    layer.train()
    set_temperature(layer, temperature)
    x.requires_grad_()
    inputs = [x, *layer.parameters()]
    with mock.patch.object(factored, 'mix_basis', wraps=factored.mix_basis) as mix_basis:
        out = layer(x)
    assert mix_basis.called
    with by_definition(layer):
        expected = layer(x)
    torch.testing.assert_close(out, expected, rtol=1e-10, atol=1e-10)
    weights = torch.randn_like(out)
    found, theirs = (
        torch.autograd.grad((y * weights).sum(), inputs, allow_unused=True, materialize_grads=True)
        for y in (out, expected)
    )
    for ours, definitions in zip(found, theirs):
        torch.testing.assert_close(ours, definitions, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize('name', ['KW softmax', 'KW sigmoid', 'KW not sharing'])
def test_what_is_not_linear_keeps_the_direct_form(basis_first, name):
    layer, x = layer_of(name)
    assert not layer.has_factors and layer.kept is None
    with mock.patch.object(factored, 'mix_basis', wraps=factored.mix_basis) as mix_basis:
        layer(x)
    assert not mix_basis.called


def test_running_statistics_are_updated_once():
    layer, x = layer_of('KW plain')
    norm = layer.attention.norm1
    layer.train()
    before = norm.running_mean.clone()
    layer(x)
    pooled = layer.attention.fc1(x.mean((2, 3))).mean(0)
    torch.testing.assert_close(norm.running_mean, 0.9 * before + 0.1 * pooled)
    assert norm.num_batches_tracked == 1


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


def hook(layer):
    layer.attention.norm1.register_forward_hook(lambda module, inputs, out: 2 * out)


def global_hook(layer):
    return nn.modules.module.register_module_forward_hook(
        lambda module, inputs, out: 2 * out if module is layer.attention.fc1 else None
    )


def own_class(layer):
    layer.attention.fc2.__class__ = Doubled


@pytest.mark.parametrize('change', [hook, global_hook, own_class])
@pytest.mark.parametrize('is_training', [True, False])
def test_what_is_done_to_the_attentions_modules_counts(change, is_training):
    layer, x = layer_of('KW plain')
    before = layer(x)
    handle = change(layer)
    try:
        with torch.set_grad_enabled(is_training):
            out = layer(x)
        with by_definition(layer), torch.no_grad():
            expected = layer(x)
    finally:
        if handle is not None:
            handle.remove()
    torch.testing.assert_close(out, expected, rtol=1e-10, atol=1e-10)
    assert not torch.allclose(out, before)


def test_the_attention_runs_as_one_otherwise():
    layer, x = layer_of('KW plain')
    with mock.patch.object(nn.Linear, 'forward') as forward:
        layer(x)
    assert not forward.called
    assert all(part.attention.runs_as_one() for part in dynamic_layers(layer).values())
