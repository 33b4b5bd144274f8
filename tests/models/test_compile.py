"""torch.compile takes a whole backbone as one graph."""

import pytest
import torch

import mmkw
from mmkw.models import KWMobileNetV2, KWResNet

BACKBONES = {
    'KWResNet': lambda: KWResNet(18, base_channels=8, stem_channels=8),
    'KWMobileNetV2': lambda: KWMobileNetV2(widen_factor=0.25),
}


@pytest.mark.parametrize('build', BACKBONES.values(), ids=BACKBONES)
def test_compiles_without_graph_breaks(build):
    torch.manual_seed(0)
    backbone = build()
    mmkw.set_temperature(backbone, 0.5)
    # The model is in eval mode, since a second pass in training mode would find other running statistics.
    backbone.eval()
    x = torch.randn(2, 3, 64, 64)
    compiled = torch.compile(backbone, backend='aot_eager', fullgraph=True)
    gradients = []
    for network in (backbone, compiled):
        backbone.zero_grad()
        out = network(x)[-1]
        out.square().mean().backward()
        gradients.append((out, *(p.grad for p in backbone.parameters())))
    for eager, traced in zip(*gradients):
        torch.testing.assert_close(traced, eager, rtol=1e-4, atol=1e-5)
