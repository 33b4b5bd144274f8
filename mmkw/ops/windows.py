"""Convolution with one kernel for all samples but for a factor of each sample at each window position.

Such a kernel needs no convolution of its own: a convolution is the sum, over the positions of the window, of pointwise
ones of the shifted input, and the factors scale these inputs. With few positions of the output and many channels that
costs a small part of what kernels of the samples' own do, which are larger than the samples then.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Union

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from .autocast import autocast_dtype
from .textbook import CONV

Size = Union[int, Sequence[int]]


def window_conv(
    x: Tensor,
    weight: Tensor,
    scale: Tensor,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve sample b with ``weight * scale[b]``.

    The same as ``dynamic_conv(x, weight * scale.view(B, 1, 1, *window), ...)`` of :mod:`mmkw.ops.textbook`, once
    differentiable, and in memory for a window position at a time.

    Args:
        x: ``(B, I, *size)``.
        weight: ``(O, I / groups, *window)``.
        scale: ``(B, positions of the window)``, row by row.
        stride, padding, dilation, groups: As in ``torch.nn.functional.conv2d``; padding in numbers only.

    Returns:
        ``(B, O, *output size)``.
    """
    dims = x.dim() - 2
    dtype = autocast_dtype(x.device.type) or x.dtype
    sizes = ((value,) * dims if isinstance(value, int) else tuple(value) for value in (stride, padding, dilation))
    return _WindowConv.apply(x.to(dtype), weight.to(dtype), scale.to(dtype), *sizes, groups)


class _WindowConv(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        scale: Tensor,
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        groups: int,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, scale)
        ctx.geometry = stride, padding, dilation, groups
        positions = _positions(_pad(x, padding), weight.shape[2:], stride, dilation)
        parts = (
            CONV[x.dim() - 2](shifted * factor, pointwise, groups=groups)
            for shifted, pointwise, factor in zip(positions, _pointwise(weight), _factors(scale, x.dim()))
        )
        out = next(parts).to(_sum_dtype(x))
        for part in parts:
            out.add_(part)
        return out.to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple:
        x, weight, scale = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.geometry
        need_x, need_weight, need_scale = ctx.needs_input_grad[:3]
        dims, window = x.dim() - 2, weight.shape[2:]
        padded = _pad(x, padding)
        dpadded = torch.zeros_like(padded, dtype=_sum_dtype(x))
        dweights, dscales = [], []
        pairs = zip(
            _positions(padded, window, stride, dilation),
            _positions(dpadded, window, stride, dilation),
            _pointwise(weight),
            _factors(scale, x.dim()),
        )
        for shifted, dshifted, pointwise, factor in pairs:
            geometry = ([1] * dims, [0] * dims, [1] * dims, False, [0] * dims, groups)
            mask = (need_x or need_scale, need_weight, False)
            dscaled, dpointwise, _ = torch.ops.aten.convolution_backward(
                grad, shifted * factor, pointwise, None, *geometry, mask
            )
            if need_x:
                dshifted.add_(dscaled * factor)
            if need_scale:
                dscales.append((dscaled * shifted).flatten(1).sum(1))
            if need_weight:
                dweights.append(dpointwise.flatten(2))
        inside = [slice(p, p + n) for p, n in zip(padding, x.shape[2:])]
        return (
            dpadded[(..., *inside)].to(x.dtype) if need_x else None,
            torch.cat(dweights, -1).view(weight.shape) if need_weight else None,
            torch.stack(dscales, 1) if need_scale else None,
            *[None] * 4,
        )


def _pad(x: Tensor, padding: Sequence[int]) -> Tensor:
    return F.pad(x, [side for axis in reversed(padding) for side in (axis, axis)])


def _positions(
    padded: Tensor, window: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> Iterator[Tensor]:
    """What each position of the window meets, views of the size of the output."""
    axes = []
    for length, k, step, spread in zip(padded.shape[2:], window, stride, dilation):
        reach = length - (k - 1) * spread
        axes.append([slice(i * spread, i * spread + reach, step) for i in range(k)])
    return (padded[(..., *slices)] for slices in itertools.product(*axes))


def _pointwise(weight: Tensor) -> Iterator[Tensor]:
    """The weight at each position of the window, as that of a pointwise convolution."""
    ones = [1] * (weight.dim() - 2)
    return (part.reshape(*weight.shape[:2], *ones) for part in weight.flatten(2).unbind(-1))


def _factors(scale: Tensor, dims: int) -> Iterator[Tensor]:
    return (factor.view(-1, *[1] * (dims - 1)) for factor in scale.unbind(1))


def _sum_dtype(x: Tensor) -> torch.dtype:
    return torch.float32 if x.element_size() < 4 else x.dtype
