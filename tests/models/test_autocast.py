"""Backbones under automatic mixed precision on the CPU."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

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
    mmkw.set_temperature(backbone, 0.5)  # at 0 the outputs of a network without batch statistics are tiny
    x = torch.randn(2, 3, 64, 64)
    exact = backbone(x)[-1]
    with torch.autocast('cpu', torch.bfloat16):
        out = backbone(x)[-1]
    out.float().square().mean().backward()
    # bfloat16 keeps 8 bits, and the error grows from layer to layer.
    assert (out.float() - exact).norm() < 0.1 * exact.norm()
    for name, p in backbone.named_parameters():
        assert p.grad is not None and p.grad.dtype == torch.float32 and p.grad.isfinite().all(), name


def test_float16_trains_at_temperature_0_without_the_scale_falling():
    """The network is untrained. The plain stem, whose gradient torch sums in float16, is frozen as for COCO."""
    torch.manual_seed(0)
    backbone, head = KWResNet(18, base_channels=4, stem_channels=4, frozen_stages=0).train(), nn.Linear(32, 4)
    trained = [p for p in (*backbone.parameters(), *head.parameters()) if p.requires_grad]
    optimizer, scaler = torch.optim.AdamW(trained, lr=3e-3), torch.amp.GradScaler('cpu', init_scale=2**13)
    x, labels, losses = torch.randn(16, 3, 64, 64), torch.arange(16) % 4, []
    for _ in range(24):
        with torch.autocast('cpu', torch.float16):
            loss = F.cross_entropy(head(backbone(x)[-1].mean((2, 3))).float(), labels)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    assert scaler.get_scale() == 2**13
    assert losses[-1] < 0.5 * losses[0]
