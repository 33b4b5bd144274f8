"""Pooling an input on its way to the convolution; for the layers alone, see the warning below."""

import math
from collections.abc import Sequence
from typing import Any, Optional

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .extent import Area, Extent, parts


def pool_in_passing(x: Tensor, windows: Sequence[int] = (), extent: Optional[Extent] = None) -> tuple[Tensor, Tensor]:
    """Average pooling of ``(B, C, *size)``, global (section 3.3) or over windows, for an input that is convolved too.

    The gradient of the mean is added to the other uses' gradient where that lies in memory: two uses that autograd
    joins would write, and read again, a tensor of the input's size for it. So the other uses must make their gradients
    themselves, as a convolution does. An addition hands on the gradient that it got, and others would find it changed.

    Args:
        x: The input.
        windows: See :func:`window_means`. Default: (), one mean.
        extent: What is pooled of each sample. Default: None, all positions.

    Returns:
        The input, for its other uses, and its means ``(B, C, *windows)``, of a half-precision input in float32:
        their gradient is a sum over all positions, which leaves the range of float16. Once differentiable.
    """
    if torch.is_grad_enabled() and x.requires_grad:
        return _Pool.apply(x, tuple(windows), None if extent is None else extent.areas(x))
    return x, window_means(x, windows, extent)


def means(x: Tensor, extent: Optional[Extent] = None) -> Tensor:
    """Means over all positions, or those of an extent, ``(B, C)``, of a half-precision input in float32."""
    areas = None if extent is None else extent.areas(x)
    if areas is not None:
        return torch.cat([means(part) for part in parts(x, areas)])
    return x.flatten(2).mean(-1, dtype=torch.promote_types(x.dtype, torch.float32))


def maxima(x: Tensor, extent: Optional[Extent] = None) -> Tensor:
    """Largest values over all positions, or those of an extent, ``(B, C)``."""
    areas = None if extent is None else extent.areas(x)
    if areas is not None:
        return torch.cat([maxima(part) for part in parts(x, areas)])
    return x.flatten(2).amax(-1)


def window_means(x: Tensor, windows: Sequence[int], extent: Optional[Extent] = None) -> Tensor:
    """Means over so many windows of each axis: adaptive average pooling as torch has it.

    On CUDA torch's has no deterministic gradient, and in ONNX it becomes hundreds of operations.

    Args:
        x: ``(B, C, *size)``.
        windows: How many windows each axis of ``size`` has; they are as even as can be, and may overlap.
        extent: What the windows cover of each sample. Default: None, all positions.

    Returns:
        ``(B, C, *windows)``, of a half-precision input in float32.
    """
    return _means_over(x, windows, None if extent is None else extent.areas(x))


def _means_over(x: Tensor, windows: Sequence[int], areas: Optional[Sequence[Area]]) -> Tensor:
    if areas is not None:
        return torch.cat([_means_over(part, windows, None) for part in parts(x, areas)])
    if math.prod(windows) == 1:
        return means(x).view(*x.shape[:2], *windows)
    dtype = torch.promote_types(x.dtype, torch.float32)
    for axis, count in enumerate(windows, 2):
        pieces = [x.narrow(axis, start, length) for start, length in _windows(x.shape[axis], count)]
        x = torch.stack([piece.mean(axis, dtype=dtype) for piece in pieces], axis)
    return x


def _windows(size: int, count: int) -> list[tuple[int, int]]:
    """Start and length of each window of an axis."""
    bounds = [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
    return [(start, end - start) for start, end in bounds]


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, windows: tuple[int, ...], areas: Optional[Sequence[Area]]
    ) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.shape, ctx.dtype, ctx.windows, ctx.areas = x.shape, x.dtype, windows, areas
        return x.view_as(x), _means_over(x, windows, areas)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dx: Optional[Tensor], dmean: Optional[Tensor]) -> tuple[Optional[Tensor], None, None]:
        if dmean is None:
            return dx, None, None
        if ctx.areas is None and math.prod(ctx.windows) == 1:
            of_each = (dmean / ctx.shape[2:].numel()).to(ctx.dtype).view(*ctx.shape[:2], *[1] * len(ctx.shape[2:]))
            return (of_each.expand(ctx.shape) if dx is None else dx.add_(of_each)), None, None
        if dx is None:
            dx = dmean.new_zeros(ctx.shape, dtype=ctx.dtype)
        if ctx.areas is None:
            _spread(dmean, dx)
        else:
            dmean = dmean.view(*ctx.shape[:2], *(ctx.windows or (1, 1)))
            for of_part, part in zip(dmean.split([area.samples for area in ctx.areas]), parts(dx, ctx.areas)):
                _spread(of_part, part)
        return dx, None, None


def _spread(dmean: Tensor, dx: Tensor) -> None:
    """Add the gradient of windows' means, ``(B, C, *windows)``, to that of another use of their input, in place."""
    for axis in range(dx.dim() - 1, 1, -1):  # all but the first axis are small yet
        size = dx.shape[axis]
        whole = dx if axis == 2 else dmean.new_zeros(*dmean.shape[:axis], *dx.shape[axis:])
        for i, (start, length) in enumerate(_windows(size, dmean.shape[axis])):
            whole.narrow(axis, start, length).add_(dmean.narrow(axis, i, 1), alpha=1 / length)
        dmean = whole
