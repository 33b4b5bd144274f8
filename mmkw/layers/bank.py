"""What methods share that hold whole kernels and let the input weigh them."""

import math
from collections.abc import Callable
from typing import Any, Optional

import torch
from torch import Tensor, nn

from mmkw.ops import assemble_kernel, mixture_conv
from mmkw.ops.textbook import CONV

from .base import DynamicConvNd, Size
from .dynamic import TemperatureRange

# Outputs of all kernels for a sample, over the weights of a kernel, that are worth convolving with each kernel and
# mixing the outputs: a classifier, which has a single position.
MIX_OUTPUTS_UP_TO = 1 / 64


class KernelBankNd(DynamicConvNd):
    """A layer with a bank of ``count`` kernels of its own, ``kernels`` of shape ``(count, *kernel_shape)``.

    As it stands here, alpha is a weight for each of them, ``(B, count)``.

    Args:
        *args, **kwargs: As in torch.
        count: How many kernels.
    """

    def __init__(self, *args: Any, count: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kernels = nn.Parameter(torch.empty(count, *self.kernel_shape))
        self.reset_kernels()

    def reset_kernels(self) -> None:
        """Initialise each kernel as the residual networks do their convolutions: kaiming-normal by fan out."""
        for kernel in self.kernels.detach():
            nn.init.kaiming_normal_(kernel, mode='fan_out', nonlinearity='relu')

    @property
    def bank(self) -> nn.Parameter:
        """The kernels."""
        return self.kernels

    @property
    def kernel_macs(self) -> int:
        """A multiply-add for every weight of every kernel."""
        return self.kernels.numel()

    def kernel_of(self, alpha: Tensor) -> Tensor:
        """Kernels ``(B, *kernel_shape)`` of weights ``(B, count)``."""
        return assemble_kernel(alpha.unsqueeze(1), self.kernels, self.kernel_shape)

    def _mix_and_convolve(self, x: Tensor, alpha: Tensor) -> Tensor:
        """The output for a prepared input and weights ``(B, count)``."""
        x, padding = self._padded(x)
        return self._mix_between(x, padding, alpha, self.bias)

    def _mix_between(self, x: Tensor, padding: Size, alpha: Tensor, bias: Optional[Tensor]) -> Tensor:
        """The same for an input that is padded but for ``padding``, and a bias."""
        geometry = (self.stride, padding, self.dilation, self.groups)
        # Convolution is linear in its kernel, so outputs can be mixed as well as kernels.
        outputs = len(self.kernels) * x.shape[2:].numel()
        if self.groups > 1 or outputs > MIX_OUTPUTS_UP_TO * math.prod(self.kernel_shape[1:]):
            return mixture_conv(x, alpha.unsqueeze(1), self.kernels, self.kernel_shape, bias, *geometry)
        out = CONV[self.dims](x, self.kernels.flatten(0, 1), None, *geometry).unflatten(1, (len(self.kernels), -1))
        out = (out * alpha.to(out.dtype).view(*alpha.shape, *[1] * (out.dim() - 2))).sum(1)
        return out if bias is None else out + bias.to(out.dtype).view(-1, *[1] * self.dims)

    def extra_repr(self) -> str:
        """torch's arguments, and how many kernels."""
        return f'{super().extra_repr()}, kernels={len(self.kernels)}'

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        # Kernels in a row are no images: Module.to(memory_format=...) would refuse their axes.
        def fn_on_flat(t: Tensor) -> Tensor:
            return fn(t.flatten(2)).unflatten(2, t.shape[2:]) if t.dim() > 3 else fn(t)

        return super()._apply(fn_on_flat, recurse)


class DividingTemperature(DynamicConvNd):
    """A dynamic convolution whose logits a temperature divides: the higher it is, the less the input matters.

    It is part of the layer's state, as ``tau``, so that resuming, weight averaging and distributed training agree about
    it; a state dict without it leaves it as it is. A fresh layer has 1.
    """

    temperature_range = TemperatureRange(lowest=1.0, highest=math.inf, start=30.0, end=1.0)
    tau: Tensor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.register_buffer('tau', torch.ones(()))

    @property
    def temperature(self) -> Optional[Tensor]:
        """tau, a buffer of no dimension."""
        return self.tau

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        missing_keys = args[2]
        super()._load_from_state_dict(state_dict, prefix, *args)
        if f'{prefix}tau' in missing_keys:
            missing_keys.remove(f'{prefix}tau')


def squared_norm(weight: Tensor) -> float:
    """Squared Frobenius norm of a weight, summed in float64."""
    return weight.double().square().sum().item()


def check_counts(**counts: int) -> None:
    """Check arguments that count something.

    Raises:
        ValueError: If one is no whole number above 0.
    """
    for name, count in counts.items():
        if not isinstance(count, int) or count < 1:
            raise ValueError(f'{name} must be a whole number above 0, got {count!r}')


def check_ratio(**ratios: float) -> None:
    """Check arguments that scale something.

    Raises:
        ValueError: If one is not above 0.
    """
    for name, ratio in ratios.items():
        if not 0 < ratio < math.inf:
            raise ValueError(f'{name} must be above 0, got {ratio}')
