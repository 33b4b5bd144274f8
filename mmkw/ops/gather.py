"""The gradient of a warehouse, gathered over the layers that share it.

Left to autograd, each layer would write a gradient as large as the whole warehouse, and add it to the others'. Here a
layer hands in what it has, the rows of alpha and the gradients of its mixed cells, and one product for many layers
makes the gradient of it.

Autograd has to know when all layers have done so: the layers of a forward pass depend on the cells through one node,
:class:`_Gate`, which autograd runs after them, and which alone returns the gradient.
"""

from collections.abc import Callable
from typing import Any, Optional
from weakref import WeakValueDictionary

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .observed import is_observed
from .products import product

# What layers hand in is multiplied at the latest when it takes this much memory.
GATHER_BYTES = 2**26


class CellGradient:
    """``alpha^T @ dmixed``, summed over samples and layers.

    Args:
        cells: The warehouse, flat: ``(n, cell)``.
        dtype: Type of what is handed in; the sum has that of the cells.
    """

    def __init__(self, cells: Tensor, dtype: torch.dtype) -> None:
        self._cells, self._dtype = cells, dtype
        self._sum: Optional[Tensor] = None
        self._alpha: list[Tensor] = []
        self._shrunk: list[Tensor] = []
        self._dmixed: Optional[Tensor] = None
        self._taken = 0

    def add(
        self, alpha: Tensor, expected: int, fill: Callable[[Tensor], None], shrunk: Optional[Tensor] = None
    ) -> Tensor:
        """Hand in rows of alpha, and the gradients of what they mixed.

        Args:
            alpha: ``(rows, n)``.
            expected: About how many rows the layers hand in all together; memory is taken for so many.
            fill: Writes the gradients into a tensor ``(rows, cell)``.
            shrunk: Power of two by which these gradients are multiplied, a 0-dim tensor, so that they stay in the range
                of float16; given by all layers or none. Default: None, by nothing.

        Returns:
            That tensor, which stays as it is until the next call.
        """
        rows, length = len(alpha), self._cells.shape[1]
        if self._dmixed is not None and self._taken + rows > len(self._dmixed):
            self._multiply()
        if self._dmixed is None or rows > len(self._dmixed):
            fitting = GATHER_BYTES // (length * torch.finfo(self._dtype).bits // 8)
            self._dmixed = self._cells.new_empty(max(rows, min(expected, fitting)), length, dtype=self._dtype)
        filled = self._dmixed[self._taken : self._taken + rows]
        fill(filled)
        self._alpha.append(alpha)
        if shrunk is not None:
            self._shrunk.append(shrunk)
        self._taken += rows
        return filled

    def total(self) -> Tensor:
        """The gradient of the cells, ``(n, cell)``."""
        return self._multiply()

    def _multiply(self) -> Tensor:
        scale = torch.stack(self._shrunk).amin() if self._shrunk else None
        if scale is not None:  # what one product sums has to be shrunk alike, as much as the largest needs
            self._alpha = [alpha * (scale / shrunk) for alpha, shrunk in zip(self._alpha, self._shrunk)]

        def whole(shrunk: Tensor) -> Tensor:
            return shrunk if scale is None else shrunk.to(self._cells.dtype).div_(scale)

        assert self._dmixed is not None  # something has been handed in
        alpha, dmixed = torch.cat(self._alpha).t(), self._dmixed[: self._taken].t()
        found = self._sum
        if found is None:
            found = self._sum = whole(product(alpha, dmixed)).to(self._cells.dtype)
        else:
            # Some cells at a time: the product for all of them takes as much memory as the sum.
            rows = max(1, GATHER_BYTES // (found[0].numel() * found.element_size()))
            for total, part in zip(found.split(rows), alpha.split(rows)):
                total.add_(whole(product(part, dmixed)))
        self._alpha, self._shrunk, self._taken = [], [], 0
        return found


class Gather:
    """Where the layers that mix from the same cells hand in their part of the gradient.

    ``token`` is what such a layer's output has to depend on instead of the cells. The layers' autograd contexts own the
    gather, so it lives as long as the graph of their forward pass.
    """

    def __init__(self, cells: Tensor) -> None:
        self.cells = cells
        self._gradients: dict[tuple[int, torch.dtype], CellGradient] = {}
        self.token = _Gate.apply(cells, self._gradients)

    def gradient(self, dtype: torch.dtype) -> CellGradient:
        """The gradient of the backward pass now running; a graph may have several, one within another or unended."""
        key = torch._C._current_graph_task_id(), dtype
        if key not in self._gradients:
            self._gradients[key] = CellGradient(self.cells.detach().flatten(1), dtype)
        return self._gradients[key]


_GATHERS: 'WeakValueDictionary[int, Gather]' = WeakValueDictionary()


def gather_of(cells: Tensor) -> Optional[Gather]:
    """The gather of these cells; None where each layer has to return a gradient itself.

    That is so where someone observes what is computed (:mod:`mmkw.ops.observed`), such as a counter of multiply-adds,
    which is to find all work of a layer in the layer's operators.
    """
    if is_observed():
        return None
    gather = _GATHERS.get(id(cells))
    # An older graph can still be alive while the cells have been moved in between.
    if gather is None or (gather.token.dtype, gather.token.device) != (cells.dtype, cells.device):
        gather = _GATHERS[id(cells)] = Gather(cells)
    return gather


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, cells: Tensor, gradients: dict[tuple[int, torch.dtype], CellGradient]) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.gradients, ctx.shape = gradients, cells.shape
        return cells.new_empty(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _nothing: Optional[Tensor]) -> tuple[Optional[Tensor], None]:
        task = torch._C._current_graph_task_id()
        found = [ctx.gradients.pop(key).total() for key in list(ctx.gradients) if key[0] == task]
        return sum(found[1:], start=found[0]).view(ctx.shape) if found else None, None
