"""Mixtures of a few whole kernels: DY-Conv and CondConv, ``W_b = sum_j a_b[j] * W_j``.

DY-Conv (Chen et al., "Dynamic Convolution: Attention over Convolution Kernels", CVPR 2020,
https://arxiv.org/abs/1912.03458) weighs the kernels by a softmax that the layer's own input decides, CondConv (Yang et
al., "CondConv: Conditionally Parameterized Convolutions for Efficient Inference", NeurIPS 2019,
https://arxiv.org/abs/1904.04971) by sigmoids that the input of the residual block decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

import torch
from torch import Tensor, nn

from mmkw.ops._pooling import means, pool_in_passing
from mmkw.ops.autocast import no_autocast

from .bank import DividingTemperature, KernelBankNd, check_counts, check_ratio, squared_norm
from .base import LinearForm
from .block_vector import BlockLayerNd, BlockSpec, BlockVector
from .spec import LayerSpec


class DYAttention(nn.Module):
    """Weights of the kernels, ``softmax(fc2(relu(fc1(p))) / tau)`` of the pooled input p.

    Args:
        in_channels: Width of the layer's input.
        kernels: How many kernels.
        reduction: Hidden width over ``in_channels``; the hidden width is at least 1.
    """

    def __init__(self, in_channels: int, kernels: int, reduction: float) -> None:
        super().__init__()
        hidden = max(int(in_channels * reduction), 1)
        self.fc1 = nn.Linear(in_channels, hidden)
        self.fc2 = nn.Linear(hidden, kernels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as at first: kaiming-normal by fan out, biases 0."""
        for fc in (self.fc1, self.fc2):
            nn.init.kaiming_normal_(fc.weight, mode='fan_out', nonlinearity='relu')
            nn.init.zeros_(fc.bias)

    def forward(self, pooled: Tensor, temperature: Tensor) -> Tensor:
        """Map ``(B, in_channels)`` to ``(B, kernels)``, in the type of the weights under autocast too."""
        with no_autocast(pooled.device.type):
            logits = self.fc2(self.fc1(pooled.to(self.fc1.weight.dtype)).relu())
            return torch.softmax(logits / temperature, -1)


class DYConv2d(DividingTemperature, KernelBankNd):
    """2-d DY-Conv: every sample's kernel is an average of ``kernels`` ones, with weights that its input decides.

    Args:
        *args, **kwargs: As in ``nn.Conv2d``.
        kernels: How many kernels. Default: 4.
        reduction: Hidden width of the attention over ``in_channels``. Default: 1/4.

    Shapes:
        Input ``(B, in_channels, H, W)``, output ``(B, out_channels, H', W')``.

    Raises:
        ValueError: If the arguments do not fit together, or an input has another shape, no sample or no position.
    """

    dims = 2
    plain_class = nn.Conv2d

    def __init__(self, *args: Any, kernels: int = 4, reduction: float = 1 / 4, **kwargs: Any) -> None:
        check_counts(kernels=kernels)
        check_ratio(reduction=reduction)
        super().__init__(*args, count=kernels, **kwargs)
        self.attention = DYAttention(self.in_channels, kernels, reduction)

    def reset_attention(self) -> None:
        """Initialise the attention as at first."""
        self.attention.reset_parameters()

    def alpha(self, x: Tensor) -> Tensor:
        """Weights of the kernels ``(B, kernels)``, which sum to 1."""
        return self.attention(means(x, self.extent), self.tau)

    def check_start(self) -> None:
        """A start as a plain layer is always possible."""

    @torch.no_grad()
    def start_from(self, weight: Tensor) -> tuple[float, float]:
        """Make every kernel the weight. Exact at every temperature, since the weights of the kernels sum to 1."""
        self.kernels.copy_(weight)
        return 0.0, squared_norm(weight)

    def _convolve(self, x: Tensor) -> Tensor:
        x, pooled = pool_in_passing(x, extent=self.extent)
        return self._mix_and_convolve(x, self.attention(pooled, self.tau))


class CondConvNd(BlockLayerNd, KernelBankNd):
    """What CondConv's layers share: every sample's kernel is a sum of ``experts`` ones, ``r = sigmoid(fc(GAP(x)))``.

    The weights r neither sum to 1 nor have a temperature. In a residual block x is the input of the block, and all its
    layers have the same r.

    Args:
        *args, **kwargs: As in torch.
        experts: How many kernels. Default: 8.
        route: What gives r's logits to the layers of a block. Default: None, the layer's own input decides.

    Raises:
        ValueError: If the arguments do not fit together, or an input has another shape, no sample or no position.
    """

    vector_name = 'route'

    def __init__(self, *args: Any, experts: int = 8, route: Optional[BlockVector] = None, **kwargs: Any) -> None:
        check_counts(experts=experts)
        super().__init__(*args, count=experts, **kwargs)
        self._join(route, experts)

    def reset_attention(self) -> None:
        """Initialise the routing as at first, for the whole block."""
        self.block_vector.reset_parameters()

    def alpha(self, x: Tensor) -> Tensor:
        """Weights r of the experts ``(B, experts)``."""
        return self._vector(x).sigmoid()

    def _convolve(self, x: Tensor) -> Tensor:
        x, logits = self._vector_in_passing(x)
        return self._mix_and_convolve(x, logits.sigmoid())


class CondConv2d(CondConvNd):
    """2-d CondConv; see :class:`CondConvNd`."""

    dims = 2
    plain_class = nn.Conv2d


class CondConvLinear(LinearForm, CondConvNd):
    """CondConv's classifier: a linear layer whose routing pools over all positions.

    Args:
        in_features, out_features, bias: As in torch.
        **kwargs: CondConv's arguments, as in :class:`CondConvNd`.
    """

    dims = 1


@dataclass(frozen=True)
class DYConvSpec(LayerSpec):
    """Layers that become DY-Conv's.

    Args:
        layers: Names of the plain layers, 2-d convolutions.
        kernels, reduction: See :class:`DYConv2d`.
    """

    classes = {nn.Conv2d: DYConv2d}

    kernels: int = 4
    reduction: float = 1 / 4


@dataclass(frozen=True)
class CondConvSpec(BlockSpec):
    """A block whose layers become CondConv's, with one routing for all of them, at ``block.route``.

    Args:
        layers: Names of the layers in the order of the forward pass; the first one's input is the block's.
        experts: See :class:`CondConvNd`.
        bias: Whether the layers keep their biases. Default: True.
    """

    classes = {nn.Conv2d: CondConv2d, nn.Linear: CondConvLinear}
    member = CondConvNd

    experts: int = 8
    bias: bool = True

    def settings(self) -> dict[str, Any]:
        """What the layers are made with beside torch's arguments."""
        return dict(experts=self.experts)

    def vector_width(self, in_channels: int) -> int:
        """A logit for each expert."""
        return self.experts

    def build(
        self, group: str, plain: Mapping[str, nn.Module], shared: dict[str, nn.Module]
    ) -> Mapping[str, nn.Module]:
        """Build the routing and the layers; see :class:`mmkw.layers.Spec`."""
        layers = super().build(group, plain, shared)
        if not self.bias:
            for layer in layers.values():
                layer.bias = None
        return layers
