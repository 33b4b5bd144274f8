"""Mixed cells as kernels, for some samples at a time."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

# Kernels mixed at a time.
PART_BYTES = 2**26


def parts(x: Tensor, kernel: Sequence[int]) -> Iterator[slice]:
    """Samples whose kernels are mixed together."""
    count = math.ceil(len(x) * math.prod(kernel) * x.element_size() / PART_BYTES)
    samples = math.ceil(len(x) / min(count, len(x)))
    return (slice(b, min(b + samples, len(x))) for b in range(0, len(x), samples))


def as_kernel(mixed: Tensor, cell: Sequence[int], kernel: Sequence[int]) -> Tensor:
    """View mixed cells as kernels.

    Args:
        mixed: ``(B, m, c)``.
        cell: Shape of a cell, ``(co, ci, *cell_window)``.
        kernel: Weight shape of the layer.

    Returns:
        ``(B, G_o, co, positions, cell_window, G_i, ci)``.
    """
    co, ci, *window = cell
    blocks_out, blocks_in = kernel[0] // co, kernel[1] // ci
    # A cell's window is either 1 or the whole window, so (position, cell window) flattens to the window.
    positions = mixed.shape[1] // (blocks_out * blocks_in)
    mixed = mixed.unflatten(1, (positions, blocks_out, blocks_in)).unflatten(-1, (co, ci, math.prod(window)))
    return mixed.permute(0, 2, 4, 1, 6, 3, 5)


def to_kernel(mixed: Tensor, cell: Sequence[int], kernel: Sequence[int]) -> Tensor:
    """Kernels ``(B, *kernel)`` of mixed cells ``(B, m, c)``."""
    return as_kernel(mixed, cell, kernel).permute(0, 1, 2, 5, 6, 3, 4).reshape(-1, *kernel)


def joined(tensors: list[Tensor]) -> Tensor:
    """The parts, one after another."""
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors)
