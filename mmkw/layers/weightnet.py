"""WeightNet: kernels made from a vector that a block shares.

Ma et al., "WeightNet: Revisiting the Design Space of Weight Networks", ECCV 2020, https://arxiv.org/abs/2007.11823. For
each filter o, the input channels (times the window) are cut into G equal parts, and part p of the kernel is

    ``W_b[o, p] = sum_t a_b[o, p, t] * K[t, o, p]``, t = 1 .. M / G, ``a = sigmoid(fc1(reduce(GAP(x))))``,

with x the input of the block. The paper writes it as a grouped linear layer from the M values a of a filter to its
kernel; K is that layer's matrix. A depthwise filter has a single part.
"""

import math
from dataclasses import dataclass
from typing import Any, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmkw.ops.autocast import no_autocast

from .bank import KernelBankNd, check_counts, check_ratio, squared_norm
from .block_vector import BlockLayerNd, BlockSpec, BlockVector


class Reduce(BlockVector):
    """The vector of a block, as WeightNet initialises it: normal with a standard deviation of 1 / fan in."""

    def reset_parameters(self) -> None:
        """Initialise as at first."""
        _reset(self.fc)


class WeightNetConv2d(BlockLayerNd, KernelBankNd):
    """2-d WeightNet convolution.

    Args:
        *args, **kwargs: As in ``nn.Conv2d``.
        m: M, values of the attention for each filter. Default: 2.
        g: G, parts of a filter's kernel; it divides M, and what a filter sees, ``in_channels / groups * window``.
            A depthwise filter has one part, and ``M / G`` values. Default: 2.
        reduction: Length of the own vector over ``in_channels``; it is at least 16. Default: 1/16.
        reduce: What gives the vector to the layers of a block. Default: None, the layer's own input decides.

    Shapes:
        Input ``(B, in_channels, H, W)``, output ``(B, out_channels, H', W')``.

    Raises:
        ValueError: If the arguments do not fit together, or an input has another shape, no sample or no position.
    """

    dims = 2
    plain_class = nn.Conv2d
    vector_name = 'reduce'
    vector_class = Reduce

    def __init__(
        self,
        *args: Any,
        m: int = 2,
        g: int = 2,
        reduction: float = 1 / 16,
        reduce: Optional[BlockVector] = None,
        **kwargs: Any,
    ) -> None:
        check_counts(m=m, g=g)
        check_ratio(reduction=reduction)
        if m % g:
            raise ValueError(f'g={g} must divide m={m}')
        super().__init__(*args, count=m // g, **kwargs)
        self.parts = 1 if self.kernel_shape[1] == 1 else g
        if math.prod(self.kernel_shape[1:]) % self.parts:
            raise ValueError(
                f'g={g} must divide what a filter sees, {" x ".join(map(str, self.kernel_shape[1:]))} values'
            )
        width = vector_width(self.in_channels, reduction) if reduce is None else reduce.fc.out_features
        self._join(reduce, width)
        self.fc1 = nn.Linear(width, self.out_channels * self.parts * len(self.kernels))
        _reset(self.fc1)
        nn.init.normal_(self.kernels, 0, self.parts / math.prod(self.kernel_shape[1:]))

    def reset_attention(self) -> None:
        """Initialise the vector, for the whole block, and fc1 as at first."""
        self.block_vector.reset_parameters()
        _reset(self.fc1)

    def alpha(self, x: Tensor) -> Tensor:
        """a, ``(B, out_channels * parts * M / G)``."""
        return self._alpha_of(self._vector(x))

    def _alpha_of(self, vector: Tensor) -> Tensor:
        with no_autocast(vector.device.type):
            return self.fc1(vector).sigmoid()

    def kernel_of(self, alpha: Tensor) -> Tensor:
        """Kernels ``(B, *kernel_shape)`` of a."""
        kernels = self.kernels.reshape(len(self.kernels), self.out_channels, self.parts, -1)
        weights = alpha.reshape(-1, self.out_channels, self.parts, len(kernels))
        mixed = sum(weights[..., t, None] * kernel for t, kernel in enumerate(kernels))
        return mixed.reshape(-1, *self.kernel_shape)

    def check_start(self) -> None:
        """A start as a plain layer is always possible."""

    @torch.no_grad()
    def start_from(self, weight: Tensor) -> tuple[float, float]:
        """Make K the weight, twice, under an attention of 1/2 for every input: fc1 starts at 0. Exact."""
        for parameter in (*self.fc1.parameters(), self.kernels):
            parameter.zero_()
        self.kernels[0] = 2 * weight
        return 0.0, squared_norm(weight)

    def _convolve(self, x: Tensor) -> Tensor:
        in_part, rest = divmod(self.kernel_shape[1], self.parts)
        if len(self.kernels) > 1 or rest:
            return super()._convolve(x)
        # The attention is constant over what one output value of a part is a sum of, so it can come after the sum.
        x, vector = self._vector_in_passing(x)
        x, padding = self._padded(x)
        # Output channels by group, part and filter, and by group, filter and part.
        weight = self.kernels.view(self.groups, -1, self.parts, in_part, *self.kernel_size).transpose(1, 2)
        scale = self._alpha_of(vector).view(len(x), self.groups, -1, self.parts, 1, 1)
        out = F.conv2d(
            x,
            weight.reshape(-1, in_part, *self.kernel_size),
            None,
            self.stride,
            padding,
            self.dilation,
            self.groups * self.parts,
        ).unflatten(1, (self.groups, self.parts, -1))
        scale = scale.to(out.dtype)
        total = sum(out[:, :, part] * scale[:, :, :, part] for part in range(self.parts)).flatten(1, 2)
        return total if self.bias is None else total + self.bias.to(total.dtype).view(-1, 1, 1)


@dataclass(frozen=True)
class WeightNetSpec(BlockSpec):
    """A block whose layers become WeightNet's, with one vector for all of them, at ``block.reduce``.

    Args:
        layers: Names of the layers in the order of the forward pass; the first one's input is the block's.
        m, g, reduction: See :class:`WeightNetConv2d`.
    """

    classes = {nn.Conv2d: WeightNetConv2d}
    member = WeightNetConv2d

    m: int = 2
    g: int = 2
    reduction: float = 1 / 16

    def vector_width(self, in_channels: int) -> int:
        """A sixteenth of the block's input, and at least 16."""
        return vector_width(in_channels, self.reduction)


def vector_width(in_channels: int, reduction: float) -> int:
    """Length of a block's vector."""
    return max(int(in_channels * reduction), 16)


def _reset(fc: nn.Linear) -> None:
    nn.init.normal_(fc.weight, 0, 1 / fc.in_features)
    nn.init.zeros_(fc.bias)
