"""Backbones under automatic mixed precision, in bfloat16 on the CPU."""

import pytest
import torch

import mmkw
from mmkw.models import KWConvNeXt, KWMobileNetV2, KWResNet

ARCH = dict(depths=[1, 1, 1, 1], channels=[16, 32, 64, 128])
BACKBONES = {
    'KWResNet': lambda: KWResNet(18, base_channels=16, stem_channels=16),
    'KWResNet, basis form': lambda: KWResNet(50, '1/2x', base_channels=16, stem_channels=16),
    'KWMobileNetV2': lambda: KWMobileNetV2(widen_factor=0.25),
    'KWConvNeXt': lambda: KWConvNeXt(ARCH, layer_scale_init_value=1.0),
}


@pytest.mark.parametrize('build', BACKBONES.values(), ids=BACKBONES)
def test_autocast_trains_close_to_float32(build):
    torch.manual_seed(0)
    backbone = build().train(False)
    mmkw.set_temperature(backbone, 0.5)  # at 0 a network without batch statistics lets little through
    x = torch.randn(2, 3, 64, 64)
    exact = backbone(x)[-1]
    with torch.autocast('cpu', torch.bfloat16):
        out = backbone(x)[-1]
    out.float().square().mean().backward()
    # bfloat16 keeps 8 bits, and the error grows from layer to layer.
    assert (out.float() - exact).norm() < 0.1 * exact.norm()
    for name, p in backbone.named_parameters():
        assert p.grad is not None and p.grad.dtype == torch.float32 and p.grad.isfinite().all(), name
