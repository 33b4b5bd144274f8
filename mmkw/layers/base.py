"""What all layers share whose kernels depend on their input; a method that has such kernels is a child of it."""

from collections.abc import Callable, Sequence
from typing import Any, Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmkw.ops import dynamic_conv
from mmkw.ops.extent import Extent

from .dynamic import DynamicLayer

Size = Union[int, Sequence[int]]
# Convolves sample b with weight[b]: (x, weight, bias, stride, padding, dilation, groups), as mmkw.ops.dynamic_conv.
Convolution = Callable[..., Tensor]


class DynamicConvNd(DynamicLayer):
    """A convolution that makes a kernel for every sample, ``kernel_of(alpha(x))``, and convolves the sample with it.

    A method says what the input decides, ``alpha``, and which kernel that makes, ``kernel_of``. ``_convolve`` may be
    overridden to compute the same faster.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode: As in torch.

    Shapes:
        Input ``(B, in_channels, *size)``, output ``(B, out_channels, *output size)``.

    Raises:
        ValueError: If the arguments do not fit together, or an input has another shape, no sample or no position.
    """

    dims: int
    # The plain layer that this one takes the place of, and is folded back to.
    plain_class: type[nn.Module]
    # None is the method's own, fastest way; see `by_definition`.
    convolution: Optional[Convolution] = None
    convolution_is_ready = False
    # What the attention pools over; None is all positions. See `mmkw.layers.pool_over_pictures`.
    extent: Optional[Extent] = None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Union[Size, str] = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = 'zeros',
    ) -> None:
        super().__init__()
        if in_channels % groups or out_channels % groups:
            raise ValueError(f'groups={groups} must divide in_channels={in_channels} and out_channels={out_channels}')
        # torch's own layer, on the meta device where it costs nothing, reads torch's arguments as torch does.
        sizes = (in_channels, out_channels, kernel_size, stride, padding, dilation, groups)
        plain = getattr(nn, f'Conv{self.dims}d')(*sizes, False, padding_mode, device='meta')
        if plain.weight.dim() != self.dims + 2:
            raise ValueError(f'kernel_size must be an int or {self.dims} ints, got {kernel_size!r}')
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride, self.dilation = plain.kernel_size, plain.stride, plain.dilation
        self.padding, self.padding_mode = plain.padding, padding_mode
        # Modules that hold a layer, such as mmcv's ConvModule, ask for these two.
        self.transposed, self.output_padding = plain.transposed, plain.output_padding
        self._pad_both_sides = plain._reversed_padding_repeated_twice
        self.kernel_shape = tuple(plain.weight.shape)
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    # What a method gives.

    def kernel_of(self, alpha: Tensor) -> Tensor:
        """Kernels ``(B, *kernel_shape)`` that :meth:`alpha` makes."""
        raise NotImplementedError

    def bias_of(self, alpha: Tensor) -> Optional[Tensor]:
        """Biases ``(B, out_channels)`` that :meth:`alpha` makes; None if all samples have the layer's bias, or none."""
        return None

    @property
    def kernel_macs(self) -> int:
        """Multiply-adds of :meth:`kernel_of` for one sample."""
        raise NotImplementedError

    # What follows from it.

    def plain_layer(self) -> nn.Module:
        """The plain convolution or Linear layer, whose bias is this one's."""
        has_bias = self.bias is not None
        with torch.device('meta'):
            if issubclass(self.plain_class, nn.Linear):
                plain = self.plain_class(self.in_channels, self.out_channels, has_bias)
            else:
                own = dict(dilation=self.dilation, groups=self.groups, bias=has_bias)
                if self.padding_mode != 'zeros':  # subclasses of torch's convolutions may not take it
                    own['padding_mode'] = self.padding_mode
                sizes = (self.kernel_size, self.stride, self.padding)
                plain = self.plain_class(self.in_channels, self.out_channels, *sizes, **own)
        plain.bias = self.bias
        return plain.train(self.training)

    def folded(self, alpha: Tensor) -> nn.Module:
        """A plain layer with the kernel that alpha makes, and with the bias if it makes one."""
        plain, bias = self.plain_layer(), self.bias_of(alpha[None])
        plain.weight = nn.Parameter(self.kernel_of(alpha[None])[0].reshape(plain.weight.shape).clone())
        if bias is not None:
            plain.bias = nn.Parameter(bias[0].clone())
        return plain

    def plain_macs(self, out: Tensor) -> int:
        """A kernel's values meet every position of the output."""
        return out.numel() * torch.Size(self.kernel_shape[1:]).numel()

    def assembly_macs(self, out: Tensor) -> int:
        """Those of a kernel, whatever the output's size."""
        return self.kernel_macs

    def kernel(self, x: Tensor) -> Tensor:
        """Kernels ``(B, *kernel_shape)`` for a prepared input."""
        return self.kernel_of(self.alpha(x))

    def ready_kernel(self, x: Tensor) -> Optional[Tensor]:
        """As :meth:`kernel`, from what the layer keeps for inference; None if the method keeps nothing."""
        return None

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``(B, in_channels, *size)``, each sample with its kernel."""
        self._check_input(x)
        x = self.prepare(x)
        if self.convolution is None:
            return self._convolve(x)
        ready = self.ready_kernel(x) if self.convolution_is_ready else None
        if ready is not None:
            return self._convolve_by(self.convolution, x, ready, None)
        alpha = self.alpha(x)
        return self._convolve_by(self.convolution, x, self.kernel_of(alpha), self.bias_of(alpha))

    def _convolve(self, x: Tensor) -> Tensor:
        alpha = self.alpha(x)
        return self._convolve_by(dynamic_conv, x, self.kernel_of(alpha), self.bias_of(alpha))

    def _convolve_by(self, convolution: Convolution, x: Tensor, kernel: Tensor, bias: Optional[Tensor]) -> Tensor:
        x, padding = self._padded(x)
        shared = self.bias if bias is None else None
        out = convolution(x, kernel, shared, self.stride, padding, self.dilation, self.groups)
        return out if bias is None else out + bias[(..., *[None] * self.dims)].to(out.dtype)

    def _padded(self, x: Tensor) -> tuple[Tensor, Size]:
        """The input, and the zeros that the convolution has still to pad it with."""
        if self.padding_mode == 'zeros' and not isinstance(self.padding, str):
            return x, self.padding
        mode = 'constant' if self.padding_mode == 'zeros' else self.padding_mode
        return F.pad(x, self._pad_both_sides, mode=mode), 0

    def _check_input(self, x: Tensor) -> None:
        if x.dim() != self.dims + 2 or x.shape[1] != self.in_channels or 0 in x.shape:
            raise ValueError(
                f'{type(self).__name__} needs an input of shape (batch, {self.in_channels}'
                f'{", size" * self.dims}), none of them 0, got {tuple(x.shape)}'
            )

    def extra_repr(self) -> str:
        """torch's arguments, as torch writes them."""
        text = f'{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}'
        defaults = dict(padding=(0,) * self.dims, dilation=(1,) * self.dims, groups=1, padding_mode='zeros')
        text += ''.join(f', {k}={getattr(self, k)!r}' for k, v in defaults.items() if getattr(self, k) != v)
        return text if self.bias is not None else f'{text}, bias=False'


class LinearForm(DynamicConvNd):
    """Makes a 1-d dynamic convolution a linear layer: a 1-wide convolution over all positions.

    Args:
        in_features, out_features, bias: As in torch.
        **kwargs: The method's own arguments.

    Shapes:
        Input ``(B, ..., in_features)``, output ``(B, ..., out_features)``; the first axis is the batch.
    """

    plain_class = nn.Linear

    def __init__(self, in_features: int, out_features: int, bias: bool = True, **kwargs: Any) -> None:
        super().__init__(in_features, out_features, 1, bias=bias, **kwargs)
        self.in_features, self.out_features = in_features, out_features

    def prepare(self, x: Tensor) -> Tensor:
        """``(B, ..., in_features)`` as ``(B, in_features, positions)``."""
        # Not len(x), which would fix the batch of an exported graph.
        return x.reshape(x.shape[0], -1, self.in_features).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, ..., in_features)`` to ``(B, ..., out_features)``."""
        return super().forward(x).transpose(1, 2).reshape(*x.shape[:-1], self.out_features)

    def _check_input(self, x: Tensor) -> None:
        if x.dim() < 2 or x.shape[-1] != self.in_features or 0 in x.shape:
            raise ValueError(
                f'{type(self).__name__} needs an input of shape (batch, ..., {self.in_features}), none of them 0, '
                f'got {tuple(x.shape)}'
            )
