"""SE, CBAM and ECA: gates that scale what a norm gives out; :mod:`mmkw.layers.gated` inserts them after one.

- SE (Hu et al., CVPR 2018, https://arxiv.org/abs/1709.01507): ``x * sig(fc2 relu(fc1 GAP(x)))``.
- CBAM (Woo et al., ECCV 2018, https://arxiv.org/abs/1807.06521): ``y = x * sig(mlp(GAP x) + mlp(GMP x))``, then
  ``y * sig(BN(conv([max y, mean y])))`` over positions.
- ECA (Wang et al., CVPR 2020, https://arxiv.org/abs/1910.03151): ``x * sig(conv1d(GAP x))`` over the channel axis.
"""

import math
from typing import Optional

import torch
from torch import Tensor, nn

from mmkw.ops._pooling import maxima, means
from mmkw.ops.autocast import no_autocast
from mmkw.ops.extent import Extent


class Gate(nn.Module):
    """What the gates share: every channel of a sample is scaled, ``x * scale(x)``.

    Shapes:
        Input and output ``(B, C, *size)``.
    """

    # What is pooled; None is all positions. See `mmkw.layers.pool_over_pictures`.
    extent: Optional[Extent] = None

    def forward(self, x: Tensor) -> Tensor:
        """Scale the channels of each sample."""
        return x * _as(self.scale(x), x)

    def scale(self, x: Tensor) -> Tensor:
        """What each channel is multiplied with, ``(B, C)``, in the type of the gate's weights, under autocast too."""
        with no_autocast(x.device.type):
            return self._logits(x).sigmoid()

    def _logits(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def reset_parameters(self) -> None:
        """Initialise as at first."""
        for module in self.children():
            if hasattr(module, 'reset_parameters'):
                module.reset_parameters()

    def start(self) -> float:
        """Let the input decide nothing, by layers that start at 0; what everything is scaled by then."""
        raise NotImplementedError

    def check_fold(self) -> None:
        """Check that a norm can do what the gate does where its scale is the same for every input.

        Raises:
            ValueError: If it cannot.
        """


def _as(scale: Tensor, x: Tensor) -> Tensor:
    """``(B, C)`` in the axes and the type of ``(B, C, *size)``."""
    return scale.to(x.dtype).view(*scale.shape, *[1] * (x.dim() - 2))


def _hidden_width(channels: int, reduction: float) -> int:
    if reduction <= 0:
        raise ValueError(f'reduction must be above 0, got {reduction}')
    return max(int(channels * reduction), 1)


class SE(Gate):
    """Squeeze and excitation, without biases.

    Args:
        channels: Width of the input.
        reduction: Hidden width over ``channels``; the hidden width is at least 1. Default: 1/16.
    """

    def __init__(self, channels: int, reduction: float = 1 / 16) -> None:
        super().__init__()
        hidden = _hidden_width(channels, reduction)
        self.fc1 = nn.Linear(channels, hidden, bias=False)
        self.fc2 = nn.Linear(hidden, channels, bias=False)

    def _logits(self, x: Tensor) -> Tensor:
        pooled = means(x, self.extent).to(self.fc1.weight.dtype)
        return self.fc2(self.fc1(pooled).relu())

    def start(self) -> float:
        nn.init.zeros_(self.fc2.weight)
        return 1 / 2


class CBAM(Gate):
    """Convolutional block attention module: a gate of the channels, then one of the positions of an image.

    Args:
        channels: Width of the input.
        reduction: Hidden width over ``channels``; the hidden width is at least 1. Default: 1/16.
    """

    def __init__(self, channels: int, reduction: float = 1 / 16) -> None:
        super().__init__()
        hidden = _hidden_width(channels, reduction)
        self.mlp = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(1, momentum=0.01)
        self.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        """Scale the channels, then the positions of each sample."""
        x = super().forward(x)
        over_channels = torch.cat((x.amax(1, keepdim=True), x.mean(1, keepdim=True)), 1)
        return x * self.norm(self.conv(over_channels)).sigmoid().to(x.dtype)

    def _logits(self, x: Tensor) -> Tensor:
        if self.extent is None:
            x = x.flatten(2)  # once: the order in which gradients are summed decides on their last bit
        pools = (means(x, self.extent), maxima(x, self.extent))
        mean, largest = (self.mlp(pooled.to(self.mlp[0].weight.dtype)) for pooled in pools)
        return mean + largest

    def reset_parameters(self) -> None:
        """Initialise as at first: every position starts with the same scale, as the weight of the norm is 0."""
        for linear in (self.mlp[0], self.mlp[2]):
            linear.reset_parameters()
            nn.init.zeros_(linear.bias)
        nn.init.kaiming_normal_(self.conv.weight, mode='fan_out')
        self.norm.reset_parameters()
        nn.init.zeros_(self.norm.weight)

    def start(self) -> float:
        for value in (*self.mlp[2].parameters(), *self.norm.parameters()):
            nn.init.zeros_(value)
        return 1 / 4

    def check_fold(self) -> None:
        raise ValueError('CBAM scales every position of an image by itself, which no plain norm does')


class ECA(Gate):
    """Efficient channel attention: a convolution over neighbouring channels, without bias.

    Args:
        channels: Width of the input.
        size: Window of the convolution, odd. Default: None, the paper's formula, see :func:`eca_size`.

    Raises:
        ValueError: If the size is even or below 1.
    """

    def __init__(self, channels: int, size: Optional[int] = None) -> None:
        super().__init__()
        size = eca_size(channels) if size is None else size
        if size < 1 or size % 2 == 0:
            raise ValueError(f'the size of an ECA gate must be odd, so that its window has a middle, got {size}')
        self.conv = nn.Conv1d(1, 1, size, padding=size // 2, bias=False)

    def _logits(self, x: Tensor) -> Tensor:
        pooled = means(x, self.extent).to(self.conv.weight.dtype)
        return self.conv(pooled.unsqueeze(1)).squeeze(1)

    def start(self) -> float:
        nn.init.zeros_(self.conv.weight)
        return 1 / 2


def eca_size(channels: int) -> int:
    """Window of an ECA gate for a width: ``t = int((log2 C + 1) / 2)``, or the next number if that is even."""
    size = int((math.log2(channels) + 1) / 2)
    return size if size % 2 else size + 1
