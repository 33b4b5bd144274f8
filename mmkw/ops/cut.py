"""Cutting kernels into cells, the inverse of assembling them (section 3.2)."""

import math
from collections.abc import Sequence

from torch import Tensor

from .partition import num_mixtures


def cut_kernel(weight: Tensor, cell: Sequence[int]) -> Tensor:
    """Cut a plain kernel into the cell-sized blocks that its mixtures would have to be.

    Args:
        weight: Weight of a layer, ``(O, I / groups, *window)``.
        cell: Cell shape ``(co, ci, *cell_window)``, the window being 1 in every axis or the kernel's own.

    Returns:
        ``(m, co, ci, *cell_window)`` in mixture order: by window position (row by row), then output, then input block,
        so that ``assemble_kernel(torch.eye(m)[None], cut_kernel(weight, cell), weight.shape)[0]`` is the weight.

    Raises:
        ValueError: If the kernel does not divide into such cells.
    """
    mixtures = num_mixtures(weight.shape, cell)
    co, ci, *window = cell
    blocks = weight.reshape(weight.shape[0] // co, co, weight.shape[1] // ci, ci, -1, math.prod(window))
    return blocks.permute(4, 0, 2, 1, 3, 5).reshape(mixtures, *cell)
