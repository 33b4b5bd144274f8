"""How kernels are cut into cells and how mixtures start: integers only (KernelWarehouse, sections 3.1 and 3.3).

A *kernel* here is the shape of a layer's weight as torch has it, ``(O, I / groups, *window)``; a *cell* is
the shape of one block of it, ``(co, ci, *cell_window)``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Shape = Sequence[int]
ZERO_CELL = -1


@dataclass(frozen=True)
class Cut:
    """How the kernels that share a warehouse are cut into cells.

    Args:
        cell_inplane_ratio: Cell width over the greatest common divisor of the input widths, in (0, 1]. Default: 1.
        cell_outplane_ratio: The same for the output widths. Default: 1.
        spatial_partition: If true a cell is 1 in every spatial axis, else it spans the whole window, which must be the
            same for all kernels. Default: True.
        channel_partition: If false a cell spans all channels of the kernels, which must be the same for all, and the
            ratios must be 1. Default: True.

    Raises:
        ValueError: If a ratio lies outside (0, 1], or partitions the channels where these are not to be partitioned.
    """

    cell_inplane_ratio: float = 1.0
    cell_outplane_ratio: float = 1.0
    spatial_partition: bool = True
    channel_partition: bool = True

    def __post_init__(self) -> None:
        for name in ('cell_inplane_ratio', 'cell_outplane_ratio'):
            ratio = getattr(self, name)
            if not 0 < ratio <= 1:
                raise ValueError(f'{name} must lie in (0, 1], got {ratio}')
        if not self.channel_partition and (self.cell_inplane_ratio, self.cell_outplane_ratio) != (1, 1):
            raise ValueError(
                f'cell ratios {self.cell_inplane_ratio} and {self.cell_outplane_ratio} partition the channels; '
                'with channel_partition=False set both to 1'
            )


def cell_shape(kernels: Sequence[Shape], cut: Cut = Cut()) -> tuple[int, ...]:  # noqa: B008 - it is frozen
    """Shape of the cell that the given kernels share.

    Args:
        kernels: Weight shapes ``(O, I / groups, *window)`` of all layers that share the warehouse.
        cut: How they are cut. Default: every axis is partitioned, with ratios of 1.

    Returns:
        ``(co, ci, *cell_window)``.

    Raises:
        ValueError: If there is no kernel, or the kernels have a different number of spatial axes, or differ in what is
            not partitioned, or do not divide into the cell.
    """
    if not kernels:
        raise ValueError('a warehouse needs at least one layer, got none')
    windows = {tuple(kernel[2:]) for kernel in kernels}
    if len({len(window) for window in windows}) > 1:
        raise ValueError(f'layers that share a warehouse need the same number of spatial axes, got {windows}')
    if not cut.spatial_partition and len(windows) > 1:
        raise ValueError(
            f'layers with different windows {sorted(windows)} cannot share a warehouse without spatial partition; '
            "set spatial_partition=True or give each window its own warehouse (sharing='shape' does)"
        )
    channels = sorted({tuple(kernel[:2]) for kernel in kernels})
    if not cut.channel_partition and len(channels) > 1:
        raise ValueError(
            f'layers with different channels {channels} cannot share a warehouse without channel partition; '
            "set channel_partition=True or give each shape its own warehouse (sharing='shape' does)"
        )
    outplane = max(int(math.gcd(*(kernel[0] for kernel in kernels)) * cut.cell_outplane_ratio), 1)
    inplane = max(int(math.gcd(*(kernel[1] for kernel in kernels)) * cut.cell_inplane_ratio), 1)
    window = next(iter(windows))
    cell = (outplane, inplane, *((1,) * len(window) if cut.spatial_partition else window))
    for kernel in kernels:
        num_mixtures(kernel, cell)
    return cell


def num_mixtures(kernel: Shape, cell: Shape) -> int:
    """Number of mixtures m (cell-sized blocks) in a kernel.

    Raises:
        ValueError: If the kernel does not divide into such cells.
    """
    if len(kernel) != len(cell) or any(k % c for k, c in zip(kernel, cell)):
        raise ValueError(
            f'a kernel of shape {tuple(kernel)} does not divide into cells of shape {tuple(cell)}; '
            'choose cell ratios whose product with the channel counts divides them'
        )
    return math.prod(k // c for k, c in zip(kernel, cell))


def num_cells(budget: float, mixtures: int) -> int:
    """Number of cells n of a warehouse: ``max(int(budget * mixtures), 1)``.

    Args:
        budget: Convolutional parameter budget b, above 0.
        mixtures: Total number of mixtures of all layers that share the warehouse.
    """
    if not 0 < budget < math.inf:
        raise ValueError(f'budget must be a finite number above 0, got {budget}')
    return max(int(budget * mixtures), 1)


def start_assignment(mixtures: int, budget: float, first_cell: int) -> list[int]:
    """Cell that each mixture of a layer *is* at temperature 1; -1 (``ZERO_CELL``) is the zero cell.

    Args:
        mixtures: Number of mixtures m of the layer.
        budget: Budget b. For b >= 1 every mixture takes a cell and leaves ``int(b) - 1`` behind it free; for
            b < 1 a diagonal pattern of period ``int(1 / b)`` takes one, the others start at the zero cell.
        first_cell: The warehouse's running cell counter when the layer's turn comes.
    """
    if budget >= 1:
        return [first_cell + i * int(budget) for i in range(mixtures)]
    period = int(1 / budget)
    cells = []
    for i in range(mixtures):
        takes = i % period == (i // period) % period
        cells.append(first_cell if takes else ZERO_CELL)
        first_cell += takes
    return cells
