"""DCD: a static convolution, scaled per filter, beside a small dynamic mixing of channels.

Li et al., "Revisiting Dynamic Convolution via Matrix Decomposition", ICLR 2021, https://arxiv.org/abs/2103.08756.

    ``y = Lam * conv(x) + P(u + BN(Phi u))``, ``u = BN(Q x)``

Q maps every position to L latent channels and P back; the input decides Lam, a scale for each filter, and Phi, an
(L, L) matrix: ``y0 = fc0 p``, ``y1 = y0 * hs(fc1 y0)``, ``Phi = fc_phi y1``, ``Lam = hs(fc_scale y1)``, where p is the
pooled input and ``hs(v) = relu6(v + 3) / 3``, which is 1 at 0.
"""

import math
from dataclasses import dataclass
from typing import Any, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmkw.ops._pooling import pool_in_passing, window_means
from mmkw.ops.autocast import no_autocast

from .bank import check_counts, squared_norm
from .base import DynamicConvNd, LinearForm
from .dynamic import takes_own_statistics
from .spec import LayerSpec

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def _obstacle(layer: nn.Module) -> Optional[str]:
    """What about a convolution DCD cannot do."""
    if layer.groups != 1:
        return f'DCD mixes all channels, which needs groups=1, got groups={layer.groups}'
    middle = tuple(d * (k - 1) / 2 for k, d in zip(layer.kernel_size, layer.dilation))
    padding = {'same': middle, 'valid': (0,) * len(middle)}.get(layer.padding, layer.padding)
    if any(k % 2 == 0 for k in layer.kernel_size) or tuple(padding) != middle:
        return (
            'DCD adds a convolution of the middle of the window, which needs an odd window and as much padding, got '
            f'kernel_size={layer.kernel_size}, padding={layer.padding!r} and dilation={layer.dilation}'
        )
    return None


def hard_sigmoid(v: Tensor) -> Tensor:
    """``relu6(v + 3) / 3``, between 0 and 2: twice what goes by this name elsewhere."""
    return F.relu6(v + 3) / 3


class DCDAttention(nn.Module):
    """Lam and Phi.

    Args:
        width: Length of the pooled input.
        latent: Number of latent channels L.
        out_channels: Width of the layer's output.
        squeeze: Hidden width.
        std: Standard deviation that the layers start with. None: torch's own start.
    """

    def __init__(self, width: int, latent: int, out_channels: int, squeeze: int, std: Optional[float]) -> None:
        super().__init__()
        self.std = std
        self.fc0 = nn.Linear(width, squeeze, bias=False)
        self.fc1 = nn.Linear(squeeze, squeeze, bias=False)
        self.fc_phi = nn.Linear(squeeze, latent * latent, bias=False)
        self.fc_scale = nn.Linear(squeeze, out_channels, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as at first."""
        for fc in self.children():
            fc.reset_parameters()
            if self.std is not None:
                nn.init.normal_(fc.weight, std=self.std)

    def forward(self, pooled: Tensor) -> Tensor:
        """Map ``(B, width)`` to Lam and Phi in a row, ``(B, out_channels + L * L)``.

        In the type of the weights, under autocast too.
        """
        with no_autocast(pooled.device.type):
            hidden = self.fc0(pooled.to(self.fc0.weight.dtype))
            hidden = hidden * hard_sigmoid(self.fc1(hidden))
            return torch.cat((hard_sigmoid(self.fc_scale(hidden)), self.fc_phi(hidden)), -1)


class DCDConvNd(DynamicConvNd):
    """What the DCD convolutions share: torch's arguments, then those of DCD.

    In evaluation a sample has a kernel and a bias of its own; in training the norms are over the batch, and it has not.

    Args:
        *args, **kwargs: As in torch.
        latent: Number of latent channels L.
        squeeze: Hidden width of the attention.
        pool: How many windows the input is pooled to along each axis. Default: 1.
        fc_std: Standard deviation that the attention's layers start with. Default: None, torch's own start.

    Shapes:
        Input ``(B, in_channels, *size)``, output ``(B, out_channels, *output size)``.

    Raises:
        ValueError: If the arguments do not fit together, or an input has another shape, no sample or no position.
    """

    def __init__(
        self, *args: Any, latent: int, squeeze: int, pool: int = 1, fc_std: Optional[float] = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        check_counts(latent=latent, squeeze=squeeze, pool=pool)
        obstacle = _obstacle(self)
        if obstacle is not None:
            raise ValueError(obstacle)
        self.latent, self.windows, self.fc_std = latent, (pool,) * self.dims, fc_std
        conv, norm = getattr(nn, f'Conv{self.dims}d'), getattr(nn, f'BatchNorm{self.dims}d')
        self.weight = nn.Parameter(torch.empty(self.kernel_shape))
        self.q = conv(self.in_channels, latent, 1, self.stride, bias=False)
        self.norm_q = norm(latent)
        self.norm_phi = nn.BatchNorm1d(latent)
        self.p = conv(latent, self.out_channels, 1, bias=False)
        self.attention = DCDAttention(
            self.in_channels * math.prod(self.windows), latent, self.out_channels, squeeze, fc_std
        )
        self.reset_matrix(self.weight)
        self.reset_attention()

    def reset_matrix(self, weight: nn.Parameter) -> None:
        """Initialise the kernel, Q or P as at first: normal, by the fan out."""
        nn.init.normal_(weight, std=math.sqrt(2 / (len(weight) * math.prod(weight.shape[2:]))))

    def reset_attention(self) -> None:
        """Initialise all but the kernel as at first."""
        for module in (self.attention, self.norm_q, self.norm_phi):
            module.reset_parameters()
        for conv in (self.q, self.p):
            self.reset_matrix(conv.weight)

    def alpha(self, x: Tensor) -> Tensor:
        """Lam and Phi in a row, ``(B, out_channels + L * L)``."""
        return self.attention(window_means(x, self.windows, self.extent).flatten(1))

    def _scale_and_phi(self, alpha: Tensor) -> tuple[Tensor, Tensor]:
        scale, phi = alpha.split((self.out_channels, self.latent**2), -1)
        return scale, phi.unflatten(-1, (self.latent, self.latent))

    def kernel_of(self, alpha: Tensor) -> Tensor:
        """Kernels ``(B, *kernel_shape)`` of Lam and Phi, with the norms' running statistics."""
        scale, phi = self._scale_and_phi(alpha)
        to_latent = _gain_and_shift(self.norm_q)[0].unsqueeze(1) * self.q.weight.flatten(1)
        mixing = self.p.weight.flatten(1) @ (self._mixing_of(phi) @ to_latent)
        around = [side for size in reversed(self.kernel_size) for side in (size // 2, size // 2)]
        mixing = F.pad(mixing[(..., *[None] * self.dims)], around)
        return scale[(..., *[None] * (self.dims + 1))] * self.weight + mixing

    def bias_of(self, alpha: Tensor) -> Tensor:
        """Biases ``(B, out_channels)`` of Lam and Phi, with the norms' running statistics."""
        scale, phi = self._scale_and_phi(alpha)
        latent = self._mixing_of(phi) @ _gain_and_shift(self.norm_q)[1] + _gain_and_shift(self.norm_phi)[1]
        bias = latent @ self.p.weight.flatten(1).T
        return bias if self.bias is None else bias + scale * self.bias

    def _mixing_of(self, phi: Tensor) -> Tensor:
        """What ``u + BN(Phi u)`` multiplies u with, ``(B, L, L)``."""
        one = torch.eye(self.latent, dtype=phi.dtype, device=phi.device)
        return one + _gain_and_shift(self.norm_phi)[0].unsqueeze(1) * phi

    @property
    def kernel_macs(self) -> int:
        """Of Q, Phi and P as one matrix, and of the scale."""
        in_channels, latent, out_channels = self.in_channels, self.latent, self.out_channels
        return latent * in_channels * (latent + out_channels) + math.prod(self.kernel_shape)

    def assembly_macs(self, out: Tensor) -> int:
        """Those of Phi at every position, since a pass makes no kernel; Q and P count as attention."""
        return self.latent**2 * out.numel() // self.out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``(B, in_channels, *size)``."""
        if self.convolution is not None and (self.norm_q.training or self.norm_phi.training):
            raise ValueError(
                f'in training a {type(self).__name__} has no kernel of a sample, as its norms are over the batch; '
                'call eval() first'
            )
        return super().forward(x)

    def _convolve(self, x: Tensor) -> Tensor:
        x, pooled = pool_in_passing(x, self.windows, self.extent)
        scale, phi = self._scale_and_phi(self.attention(pooled.flatten(1)))
        u = self.norm_q(self.q(x))
        flat = u.flatten(2)
        mixed = self.p((flat + self.norm_phi(phi.to(flat.dtype) @ flat)).unflatten(2, u.shape[2:]))
        x, padding = self._padded(x)
        out = _CONV[self.dims](x, self.weight, self.bias, self.stride, padding, self.dilation)
        return torch.addcmul(mixed, out, scale.to(out.dtype)[(..., *[None] * self.dims)])

    def check_start(self) -> None:
        """A start as a plain layer is always possible."""

    @torch.no_grad()
    def start_from(self, weight: Tensor) -> tuple[float, float]:
        """Start Lam at 1 for every input and P at 0. Exact."""
        nn.init.zeros_(self.attention.fc_scale.weight)
        nn.init.zeros_(self.p.weight)
        self.weight.copy_(weight)
        return 0.0, squared_norm(weight)

    def extra_repr(self) -> str:
        """torch's arguments, and the latent channels."""
        return f'{super().extra_repr()}, latent={self.latent}'


def _gain_and_shift(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """What a batch norm in evaluation multiplies with, and adds."""
    gain = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return gain, norm.bias - norm.running_mean * gain


class DCDConv1d(DCDConvNd):
    """1-d DCD; see :class:`DCDConvNd`."""

    dims = 1
    plain_class = nn.Conv1d


class DCDConv2d(DCDConvNd):
    """2-d DCD; see :class:`DCDConvNd`."""

    dims = 2
    plain_class = nn.Conv2d


class DCDLinear(LinearForm, DCDConv1d):
    """DCD's dynamic classifier: Lam scales the weight and the bias.

    Args:
        in_features, out_features, bias: As in torch.
        **kwargs: DCD's arguments, as in :class:`DCDConvNd`. ``fc_std`` is that of the weight, Q and P too.
    """

    plain_class = nn.Linear

    @property
    def needs_two_samples(self) -> bool:
        """Whether the norms do, where a sample has a single position, as a classifier's has."""
        return self.training and takes_own_statistics(self.norm_q)

    def reset_matrix(self, weight: nn.Parameter) -> None:
        """Initialise the weight, Q or P as at first, which is a Linear layer's way."""
        if self.fc_std is None:
            nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
        else:
            nn.init.normal_(weight, std=self.fc_std)


@dataclass(frozen=True)
class DCDSpec(LayerSpec):
    """Layers that become DCD's.

    Args:
        layers: Names of the plain layers, without groups and with the padding that keeps their size, but for a stride.
        latent, squeeze, pool, fc_std: See :class:`DCDConvNd`.
    """

    classes = {nn.Conv1d: DCDConv1d, nn.Conv2d: DCDConv2d, nn.Linear: DCDLinear}

    latent: int
    squeeze: int
    pool: int = 1
    fc_std: Optional[float] = None

    def refusal(self, layer: nn.Module) -> Optional[str]:
        """What DCD could replace, if not this layer."""
        return super().refusal(layer) or (None if isinstance(layer, nn.Linear) else _obstacle(layer))
