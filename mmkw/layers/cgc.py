"""CGC: a kernel whose values are gated by the context of the whole input.

Lin et al., "Context-Gated Convolution", ECCV 2020, https://arxiv.org/abs/1910.05577.

    ``W_b[o, c, s] = W[o, c, s] * sig(A[c, s] + Z[o, s])``

for filters o, input channels c and window positions s. The context of channel c is its input pooled to the size of the
window and mapped to ``D = int(window / 2 + 1)`` values, E. A follows from E; Z from what a matrix mixes from channels
of E in groups of 16.
"""

import math
from dataclasses import dataclass
from typing import Any, Optional

import torch
from torch import Tensor, nn

from mmkw.ops import dynamic_conv
from mmkw.ops._pooling import pool_in_passing, window_means
from mmkw.ops.autocast import no_autocast

from .base import DynamicConvNd
from .dynamic import takes_own_statistics
from .spec import LayerSpec

_MIXED_CHANNELS = 16


def _mixed_groups(in_channels: int) -> int:
    return max(in_channels // _MIXED_CHANNELS, 1)


def _obstacle(layer: nn.Module) -> Optional[str]:
    """What about a convolution CGC cannot do."""
    if layer.groups != 1:
        return f'CGC is defined for groups=1 alone, got groups={layer.groups}'
    groups = _mixed_groups(layer.in_channels)
    if layer.in_channels != groups * min(layer.in_channels, _MIXED_CHANNELS) or layer.out_channels % groups:
        return (
            f'CGC mixes input channels in groups of {_MIXED_CHANNELS}, each into as many output channels, got '
            f'in_channels={layer.in_channels} and out_channels={layer.out_channels}'
        )
    return None


class CGCAttention(nn.Module):
    """A and Z for an input that is pooled to the window already.

    Args:
        in_channels, out_channels: Widths of the layer.
        window: Number of the window's positions.
    """

    def __init__(self, in_channels: int, out_channels: int, window: int) -> None:
        super().__init__()
        latent = int(window / 2 + 1)
        self.groups = _mixed_groups(in_channels)
        self.fc_context = nn.Linear(window, latent, bias=False)
        self.norm_in = nn.BatchNorm1d(in_channels)
        self.fc_in = nn.Linear(latent, window, bias=False)
        self.norm_mix = nn.BatchNorm1d(in_channels)
        self.fc_mix = nn.Linear(in_channels // self.groups, out_channels // self.groups, bias=False)
        self.norm_out = nn.BatchNorm1d(out_channels)
        self.fc_out = nn.Linear(latent, window, bias=False)

    def reset_parameters(self) -> None:
        """Initialise as at first, which is torch's way."""
        for module in self.children():
            module.reset_parameters()

    def forward(self, pooled: Tensor) -> Tensor:
        """Map ``(B, in_channels, window)`` to A and below it Z, ``(B, in_channels + out_channels, window)``.

        In the type of the weights, under autocast too.
        """
        with no_autocast(pooled.device.type):
            context = self.fc_context(pooled.to(self.fc_context.weight.dtype))
            inner = self.fc_in(self.norm_in(context).relu())
            groups = self.norm_mix(context).relu().unflatten(1, (self.groups, -1))
            # Contiguous, or torch.compile would mistake the layout of the norm's gradient.
            outer = self.fc_mix(groups.transpose(2, 3)).transpose(2, 3).flatten(1, 2).contiguous()
            return torch.cat((inner, self.fc_out(self.norm_out(outer).relu())), 1)


class CGCConv2d(DynamicConvNd):
    """2-d CGC, for ``groups=1``.

    Args:
        *args, **kwargs: As in ``nn.Conv2d``.

    Shapes:
        Input ``(B, in_channels, H, W)``, output ``(B, out_channels, H', W')``.

    Raises:
        ValueError: If the arguments do not fit together, or an input has another shape, no sample or no position.
    """

    dims = 2
    plain_class = nn.Conv2d

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        obstacle = _obstacle(self)
        if obstacle is not None:
            raise ValueError(obstacle)
        self.weight = nn.Parameter(torch.empty(self.kernel_shape))
        nn.init.kaiming_normal_(self.weight, mode='fan_out', nonlinearity='relu')
        self.attention = CGCAttention(self.in_channels, self.out_channels, math.prod(self.kernel_size))

    def reset_attention(self) -> None:
        """Initialise the attention as at first."""
        self.attention.reset_parameters()

    def alpha(self, x: Tensor) -> Tensor:
        """A and below it Z, ``(B, in_channels + out_channels, window)``."""
        return self.attention(window_means(x, self.kernel_size, self.extent).flatten(2))

    def kernel_of(self, alpha: Tensor) -> Tensor:
        """Kernels ``(B, *kernel_shape)`` of A and Z."""
        inner, outer = alpha.unflatten(2, self.kernel_size).split((self.in_channels, self.out_channels), 1)
        return self.weight * (inner.unsqueeze(1) + outer.unsqueeze(2)).sigmoid()

    def _convolve(self, x: Tensor) -> Tensor:
        x, pooled = pool_in_passing(x, self.kernel_size, self.extent)
        return self._convolve_by(dynamic_conv, x, self.kernel_of(self.attention(pooled.flatten(2))), None)

    @property
    def needs_two_samples(self) -> bool:
        """Whether the attention's norms do: in a pointwise layer they see a single value of a sample's channel."""
        return (
            self.training
            and self.attention.fc_context.out_features == 1
            and takes_own_statistics(self.attention.norm_in)
        )

    @property
    def kernel_macs(self) -> int:
        """An addition and a multiplication for every value of the kernel."""
        return math.prod(self.kernel_shape)

    def check_start(self) -> None:
        """A start as a plain layer is always possible."""

    @torch.no_grad()
    def start_from(self, weight: Tensor) -> tuple[float, float]:
        """Set the gates to 1/2 for every input, by layers that start at 0, and the weight to suit. Exact."""
        nn.init.zeros_(self.attention.fc_in.weight)
        nn.init.zeros_(self.attention.fc_out.weight)
        self.weight.copy_(2 * weight)
        return 0.0, weight.double().square().sum().item()


@dataclass(frozen=True)
class CGCSpec(LayerSpec):
    """Layers that become CGC's.

    Args:
        layers: Names of the plain layers, 2-d convolutions without groups.
    """

    classes = {nn.Conv2d: CGCConv2d}

    def refusal(self, layer: nn.Module) -> Optional[str]:
        """What CGC could replace, if not this layer."""
        if isinstance(layer, nn.Conv2d):
            return super().refusal(layer) or _obstacle(layer)
        return 'CGC replaces 2-d convolutions'
