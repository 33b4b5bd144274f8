"""ODConv: attention over all four dimensions of a kernel.

Li, Zhou & Yao, "Omni-Dimensional Dynamic Convolution", ICLR 2022, https://arxiv.org/abs/2209.07947.

    ``W_b[o, i, s] = a_f[o] * a_c[i] * a_s[s] * sum_j a_w[j] * W_j[o, i, s]``

for filters o, input channels i, window positions s and kernels j. Each of the four has a linear layer from
``z = relu(BN(fc(GAP(x))))``, whose output is divided by the temperature and goes through a sigmoid, that of a_w through
a softmax. As in the release, the first three are shared by all kernels.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmkw.ops import mixture_conv, window_conv
from mmkw.ops._pooling import means, pool_in_passing
from mmkw.ops.autocast import no_autocast

from .bank import DividingTemperature, KernelBankNd, check_counts, check_ratio, squared_norm
from .dynamic import SINGLE_SAMPLE, takes_own_statistics
from .spec import LayerSpec


class Factors(NamedTuple):
    """The four attentions of samples, or a property of each; None is one that the layer does not have.

    Args:
        channel: a_c, ``(B, in_channels)``.
        filter: a_f, ``(B, out_channels)``; a depthwise layer has none.
        spatial: a_s, ``(B, window positions)``; a pointwise layer has none.
        kernel: a_w, ``(B, kernels)``; a layer with one kernel has none.
    """

    channel: Any
    filter: Any
    spatial: Any
    kernel: Any


class ODAttention(nn.Module):
    """The four attentions; names are the release's.

    Args:
        in_channels: Width of the layer's input.
        sizes: Length of each attention.
        reduction: Hidden width over ``in_channels``; the hidden width is at least 16.
    """

    def __init__(self, in_channels: int, sizes: Factors, reduction: float) -> None:
        super().__init__()
        hidden = max(int(in_channels * reduction), 16)
        self.fc = nn.Linear(in_channels, hidden, bias=False)
        self.bn = nn.BatchNorm1d(hidden)
        self.channel_fc, self.filter_fc, self.spatial_fc, self.kernel_fc = (
            None if size is None else nn.Linear(hidden, size) for size in sizes
        )
        self.reset_parameters()

    @property
    def needs_two_samples(self) -> bool:
        """Whether its norm would take statistics, in the present mode, over the samples of this process alone."""
        return self.training and takes_own_statistics(self.bn)

    @property
    def sigmoid_layers(self) -> list[nn.Linear]:
        """The last layers of those attentions that are sigmoids."""
        return [fc for fc in (self.channel_fc, self.filter_fc, self.spatial_fc) if fc is not None]

    def reset_parameters(self) -> None:
        """Initialise as at first: linear layers kaiming-normal by fan out, biases 0, norm weights 1."""
        for module in self.children():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self.bn.reset_parameters()

    def forward(self, pooled: Tensor, temperature: Tensor) -> Factors:
        """Map ``(B, in_channels)`` to the attentions, in the type of the weights under autocast too."""
        if self.needs_two_samples and len(pooled) == 1:
            raise ValueError(SINGLE_SAMPLE)
        with no_autocast(pooled.device.type):
            hidden = self.bn(self.fc(pooled.to(self.fc.weight.dtype))).relu()

            def sigmoid(fc: Optional[nn.Linear]) -> Optional[Tensor]:
                return None if fc is None else (fc(hidden) / temperature).sigmoid()

            kernel = None if self.kernel_fc is None else torch.softmax(self.kernel_fc(hidden) / temperature, -1)
            return Factors(sigmoid(self.channel_fc), sigmoid(self.filter_fc), sigmoid(self.spatial_fc), kernel)


class ODConv2d(DividingTemperature, KernelBankNd):
    """2-d ODConv.

    Args:
        *args, **kwargs: As in ``nn.Conv2d``.
        kernels: How many kernels. Default: 4.
        reduction: Hidden width of the attention over ``in_channels``; the hidden width is at least 16. Default: 1/16.

    Shapes:
        Input ``(B, in_channels, H, W)``, output ``(B, out_channels, H', W')``.

    Raises:
        ValueError: If the arguments do not fit together, or an input has another shape, no sample or no position.
    """

    dims = 2
    plain_class = nn.Conv2d

    def __init__(self, *args: Any, kernels: int = 4, reduction: float = 1 / 16, **kwargs: Any) -> None:
        check_counts(kernels=kernels)
        check_ratio(reduction=reduction)
        super().__init__(*args, count=kernels, **kwargs)
        window = math.prod(self.kernel_size)
        is_depthwise = self.groups == self.in_channels == self.out_channels
        self.sizes = Factors(
            channel=self.in_channels,
            filter=None if is_depthwise else self.out_channels,
            spatial=window if window > 1 else None,
            kernel=kernels if kernels > 1 else None,
        )
        self.attention = ODAttention(self.in_channels, self.sizes, reduction)

    def reset_attention(self) -> None:
        """Initialise the attention as at first."""
        self.attention.reset_parameters()

    @property
    def needs_two_samples(self) -> bool:
        """Whether the attention's norm does."""
        return self.attention.needs_two_samples

    @property
    def kernel_macs(self) -> int:
        """A multiply-add for every weight of every kernel, and of the mixed kernel for a_c and for a_f.

        A single pointwise kernel is only multiplied with the latter two.
        """
        channel, filters, spatial, kernel = self.sizes
        mixed = 0 if spatial is None and kernel is None else self.kernels.numel()
        return mixed + math.prod(self.kernel_shape) * (1 if filters is None else 2)

    def alpha(self, x: Tensor) -> Tensor:
        """The attentions that the layer has, a_c, a_f, a_s and a_w in a row, ``(B, sum of their sizes)``."""
        factors = self.attention(means(x, self.extent), self.tau)
        return torch.cat([factor for factor in factors if factor is not None], -1)

    def kernel_of(self, alpha: Tensor) -> Tensor:
        """Kernels ``(B, *kernel_shape)`` of the attentions in a row."""
        parts = iter(alpha.split([size for size in self.sizes if size is not None], -1))
        channel = next(parts)
        filters, spatial, kernel = (None if size is None else next(parts) for size in self.sizes[1:])
        kernels = self.kernels.flatten(3)
        mixed = kernels[0][None] if kernel is None else torch.einsum('bn,nois->bois', kernel, kernels)
        if spatial is not None:
            mixed = mixed * spatial[:, None, None]
        if filters is not None:
            mixed = mixed * filters[:, :, None, None]
        # The input channels of filter o are those of its group.
        assert channel is not None  # every layer has it
        in_group = channel.unflatten(-1, (self.groups, 1, -1, 1))
        mixed = mixed.unflatten(1, (self.groups, -1)) * in_group
        return mixed.reshape(-1, *self.kernel_shape)

    def check_start(self) -> None:
        """A start as a plain layer is always possible."""

    @torch.no_grad()
    def start_from(self, weight: Tensor) -> tuple[float, float]:
        """Set the sigmoids to 1/2 for every input, by layers that start at 0, and every kernel to suit. Exact."""
        for fc in self.attention.sigmoid_layers:
            nn.init.zeros_(fc.weight)
            nn.init.zeros_(fc.bias)
        self.kernels.copy_(weight * 2 ** len(self.attention.sigmoid_layers))
        return 0.0, squared_norm(weight)

    def _convolve(self, x: Tensor) -> Tensor:
        # a_c scales the input and a_f the output, so that the kernels in between have only a_s and a_w.
        x, pooled = pool_in_passing(x, extent=self.extent)
        factors = self.attention(pooled, self.tau)
        x = x * factors.channel.to(x.dtype)[..., None, None]
        x, padding = self._padded(x)
        out = self._convolve_between(x, padding, factors)
        bias = None if self.bias is None else self.bias.to(out.dtype).view(-1, 1, 1)
        if factors.filter is None:
            return out if bias is None else out + bias
        scale = factors.filter.to(out.dtype)[..., None, None]
        return out * scale if bias is None else torch.addcmul(bias, out, scale)

    def _convolve_between(self, x: Tensor, padding: Any, factors: Factors) -> Tensor:
        geometry = (self.stride, padding, self.dilation, self.groups)
        if factors.spatial is None and factors.kernel is None:
            return F.conv2d(x, self.kernels[0], None, *geometry)
        if factors.spatial is None:
            return self._mix_between(x, padding, factors.kernel, None)
        if factors.kernel is None and self._has_few_positions(x):
            return window_conv(x, self.kernels[0], factors.spatial, *geometry)
        # Every window position of every kernel is a cell, which only the mixture at this position uses.
        cells = self.kernels.flatten(3).permute(0, 3, 1, 2).reshape(-1, *self.kernel_shape[:2], 1, 1)
        weights = factors.spatial.unsqueeze(1)
        if factors.kernel is not None:
            weights = weights * factors.kernel.unsqueeze(-1)
        alpha = torch.diag_embed(weights).transpose(1, 2).flatten(2)
        return mixture_conv(x, alpha, cells, self.kernel_shape, None, *geometry)

    def _has_few_positions(self, x: Tensor) -> bool:
        """Whether kernels of the samples' own would be larger than what the samples are convolved into."""
        return x.shape[2:].numel() * self.groups <= math.prod(self.stride) * self.out_channels


@dataclass(frozen=True)
class ODConvSpec(LayerSpec):
    """Layers that become ODConv's.

    Args:
        layers: Names of the plain layers, 2-d convolutions.
        kernels, reduction: See :class:`ODConv2d`.
    """

    classes = {nn.Conv2d: ODConv2d}

    kernels: int = 4
    reduction: float = 1 / 16
