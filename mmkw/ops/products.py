"""Matrix products in the form in which this torch has them fastest.

On CPUs torch multiplies float32 matrices with MKL, and has oneDNN's product at hand too, as the linear layer that
torch.compile puts into its graphs. That one is up to twice as fast where a side is very long, as with all cells of a
warehouse, and for each sample of a batch if the sample has work enough; for many small products MKL's batched one is
better.
``tools/benchmark/shapes.py`` measures both.
"""

from typing import Any, Optional

import torch
from torch import Tensor

# Products of fewer multiply-adds go in one batch.
ONE_BY_ONE_FROM = 2**24

# Left matrices of fewer values go in one batch in `stacked_product`.
STACKED_ONE_BY_ONE_FROM = 512

_ONEDNN: Any = getattr(torch.ops.mkldnn, '_linear_pointwise', None) if torch.backends.mkldnn.is_available() else None


def product(a: Tensor, b: Tensor) -> Tensor:
    """``a @ b.t()`` of ``(M, K)`` and ``(N, K)``."""
    if _has_onednn(a):
        return _ONEDNN(_dense(a), _dense(b), None, 'none', [], '')
    return a @ b.t()


def batched_product(a: Tensor, b: Tensor, out: Optional[Tensor] = None) -> Tensor:
    """``a @ b.transpose(1, 2)`` of ``(B, M, K)`` and ``(B, N, K)``.

    Args:
        out: Where to write it: any view with as many values a sample, which are taken in their order.
    """
    work = a[0].numel() * b.shape[1]
    if work < ONE_BY_ONE_FROM or not _has_onednn(a):
        found = torch.bmm(a, b.transpose(1, 2))
        return found if out is None else out.copy_(found.view(out.shape))
    if out is None:
        if len(a) == 1:
            return product(a[0], b[0]).unsqueeze(0)
        out = a.new_empty(len(a), a.shape[1], b.shape[1])
    for target, left, right in zip(out, a, b):
        target.copy_(product(left, right).view(target.shape))
    return out


def stacked_product(a: Tensor, b: Tensor, out: Tensor, add: bool = False) -> None:
    """Write, or add, ``a @ b.transpose(1, 2)`` of ``(m, M, K)`` and ``(m, N, K)``, where one of the axes is very long.

    Args:
        out: ``(m, M, N)``, any view whose last axis is dense.
        add: Whether to add to what is there.
    """
    if a[0].numel() >= STACKED_ONE_BY_ONE_FROM and _has_onednn(a):
        for target, left, right in zip(out, a, b):
            found = product(left, right)
            target.add_(found) if add else target.copy_(found)
    elif add:
        out.baddbmm_(a, b.transpose(1, 2))
    else:
        torch.bmm(a, b.transpose(1, 2), out=out)


def _has_onednn(a: Tensor) -> bool:
    return _ONEDNN is not None and a.device.type == 'cpu' and a.dtype == torch.float32


def _dense(matrix: Tensor) -> Tensor:
    # Given any other layout oneDNN falls back to a loop a thousand times as slow.
    if matrix.is_contiguous() or matrix.t().is_contiguous():
        return matrix
    return matrix.contiguous() if matrix.stride(1) <= matrix.stride(0) else matrix.t().contiguous().t()
