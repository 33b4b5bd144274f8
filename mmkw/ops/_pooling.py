"""Pooling an input on its way to the convolution; for the layers alone, see the warning below."""

from typing import Any, Optional

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def pool_in_passing(x: Tensor) -> tuple[Tensor, Tensor]:
    """Global average pooling of ``(B, C, *size)`` (section 3.3), for an input that is used once more.

    The gradient of the mean is added to the other use's gradient where that lies in memory: two uses that autograd
    joins would write, and read again, a tensor of the input's size for it. So the other use must make its gradient
    itself, as a convolution does. An addition hands on the gradient that it got, and others would find it changed.

    Returns:
        The input, for its only other use, and its means ``(B, C)``, of a half-precision input in float32: their
        gradient is a sum over all positions, which leaves the range of float16. Once differentiable.
    """
    if torch.is_grad_enabled() and x.requires_grad:
        return _Pool.apply(x)
    return x, means(x)


def means(x: Tensor) -> Tensor:
    """Means over all positions, ``(B, C)``, of a half-precision input in float32."""
    return x.flatten(2).mean(-1, dtype=torch.promote_types(x.dtype, torch.float32))


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.shape, ctx.dtype = x.shape, x.dtype
        return x.view_as(x), means(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dx: Optional[Tensor], dmean: Optional[Tensor]) -> Optional[Tensor]:
        if dmean is None:
            return dx
        positions = ctx.shape[2:].numel()
        dmean = (dmean / positions).to(ctx.dtype).view(*ctx.shape[:2], *[1] * len(ctx.shape[2:]))
        return dmean.expand(ctx.shape) if dx is None else dx.add_(dmean)
