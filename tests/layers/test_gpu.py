"""Layers on a GPU compute what they do on the CPU; ``pytest tests -m gpu`` where there is one."""

import copy

import pytest
import torch

from layer_makers import FORMS, layer_of
from mmkw import set_inference_memory, set_temperature
from mmkw.layers.kernel_warehouse import mixing
from mmkw.ops import mixture

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason='torch sees no GPU')]


@pytest.mark.parametrize('is_first', [True, False])
@pytest.mark.parametrize('name', FORMS)
def test_output_and_gradients(name, is_first, monkeypatch):
    for module in (mixing, mixture):
        monkeypatch.setattr(module, 'mixes_basis_first', lambda *_: is_first)
    layer, x = layer_of(name)
    layer.train()
    if layer.temperature_range is not None:
        set_temperature(layer, sum(layer.temperature_range[2:]) / 2)
    found = []
    for device in ('cpu', 'cuda'):
        model, image = copy.deepcopy(layer).to(device), x.to(device).requires_grad_()
        out = model(image)
        grads = torch.autograd.grad(out.square().sum(), [image, *model.parameters()], allow_unused=True)
        found.append([tensor.cpu() for tensor in (out, *grads) if tensor is not None])
    for ours, theirs in zip(*found):
        torch.testing.assert_close(theirs, ours, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize('name', [name for name in FORMS if name.startswith('KW')])
def test_inference(name):
    layer, x = layer_of(name)
    layer.eval()
    set_inference_memory(layer, 2**30)
    with torch.no_grad():
        expected = layer(x)
        torch.testing.assert_close(layer.cuda()(x.cuda()).cpu(), expected, rtol=1e-8, atol=1e-8)
