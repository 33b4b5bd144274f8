"""Pooling an input on its way to the convolution; for the layers alone, see the warning below."""

import math
from collections.abc import Sequence
from typing import Any, Optional

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def pool_in_passing(x: Tensor, windows: Sequence[int] = ()) -> tuple[Tensor, Tensor]:
    """Average pooling of ``(B, C, *size)``, global (section 3.3) or over windows, for an input that is convolved too.

    The gradient of the mean is added to the other uses' gradient where that lies in memory: two uses that autograd
    joins would write, and read again, a tensor of the input's size for it. So the other uses must make their gradients
    themselves, as a convolution does. An addition hands on the gradient that it got, and others would find it changed.

    Args:
        x: The input.
        windows: See :func:`window_means`. Default: (), all positions.

    Returns:
        The input, for its other uses, and its means ``(B, C, *windows)``, of a half-precision input in float32:
        their gradient is a sum over all positions, which leaves the range of float16. Once differentiable.
    """
    if torch.is_grad_enabled() and x.requires_grad:
        return _Pool.apply(x, tuple(windows))
    return x, window_means(x, windows)


def means(x: Tensor) -> Tensor:
    """Means over all positions, ``(B, C)``, of a half-precision input in float32."""
    return x.flatten(2).mean(-1, dtype=torch.promote_types(x.dtype, torch.float32))


def window_means(x: Tensor, windows: Sequence[int]) -> Tensor:
    """Means over so many windows of each axis: adaptive average pooling as torch has it.

    On CUDA torch's has no deterministic gradient, and in ONNX it becomes hundreds of operations.

    Args:
        x: ``(B, C, *size)``.
        windows: How many windows each axis of ``size`` has; they are as even as can be, and may overlap.

    Returns:
        ``(B, C, *windows)``, of a half-precision input in float32.
    """
    if math.prod(windows) == 1:
        return means(x).view(*x.shape[:2], *windows)
    dtype = torch.promote_types(x.dtype, torch.float32)
    for axis, count in enumerate(windows, 2):
        parts = [x.narrow(axis, start, length) for start, length in _windows(x.shape[axis], count)]
        x = torch.stack([part.mean(axis, dtype=dtype) for part in parts], axis)
    return x


def _windows(size: int, count: int) -> list[tuple[int, int]]:
    """Start and length of each window of an axis."""
    bounds = [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
    return [(start, end - start) for start, end in bounds]


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, windows: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.shape, ctx.dtype, ctx.windows = x.shape, x.dtype, windows
        return x.view_as(x), window_means(x, windows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dx: Optional[Tensor], dmean: Optional[Tensor]) -> tuple[Optional[Tensor], None]:
        if dmean is None:
            return dx, None
        if math.prod(ctx.windows) > 1:
            return _spread(dmean, dmean.new_zeros(ctx.shape, dtype=ctx.dtype) if dx is None else dx), None
        positions = ctx.shape[2:].numel()
        dmean = (dmean / positions).to(ctx.dtype).view(*ctx.shape[:2], *[1] * len(ctx.shape[2:]))
        return (dmean.expand(ctx.shape) if dx is None else dx.add_(dmean)), None


def _spread(dmean: Tensor, dx: Tensor) -> Tensor:
    """Add the gradient of :func:`window_means` to that of another use of its input."""
    for axis in range(dx.dim() - 1, 1, -1):  # all but the first axis are small yet
        size = dx.shape[axis]
        whole = dx if axis == 2 else dmean.new_zeros(*dmean.shape[:axis], *dx.shape[axis:])
        for i, (start, length) in enumerate(_windows(size, dmean.shape[axis])):
            whole.narrow(axis, start, length).add_(dmean.narrow(axis, i, 1), alpha=1 / length)
        dmean = whole
    return dx
