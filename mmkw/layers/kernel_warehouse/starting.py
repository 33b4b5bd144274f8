"""What the mixtures of a KernelWarehouse layer are at temperature 1 (section 3.3), and how a layer starts from it."""

import torch
from torch import Tensor

from mmkw.layers.base import DynamicConvNd
from mmkw.ops import ZERO_CELL, cut_kernel


class StartingLayer(DynamicConvNd):
    """A layer whose mixtures start at cells: ``beta`` is what they are at temperature 1, as weights of the cells.

    ``start_strategy`` says by which strategy, see :func:`mmkw.ops.start_matrix`.
    """

    beta: Tensor
    cells: Tensor
    start_strategy: str

    def fixed_alpha(self) -> Tensor:
        """beta, which alpha is at tau = 1 for every input."""
        tau = float(self.warehouses.temperature)
        if tau != 1:
            raise ValueError(f'tau = {tau:g}')
        if self.start_strategy == 'none':
            raise ValueError("start='none'")
        return self.beta

    def start_assignment(self) -> list[int]:
        """Cell of each mixture at temperature 1, -1 for the zero cell.

        Raises:
            ValueError: If the layer's mixtures do not start at single cells.
        """
        if self.start_strategy != 'one_to_one':
            raise ValueError(f'start={self.start_strategy!r} assigns no single cell to a mixture')
        return [int(row.argmax()) if row.any() else ZERO_CELL for row in self.beta]

    def start_map(self) -> Tensor:
        """beta, and 1 in the last column where a mixture starts at the zero cell: ``(m, n + 1)``."""
        beta = self.beta.double()
        at_zero_cell = ~beta.any(-1, keepdim=True)
        return torch.cat((beta, at_zero_cell if self.start_strategy != 'none' else at_zero_cell * 0), -1)

    def check_start(self) -> None:
        """Check that every mixture starts at a single cell, or at the zero cell."""
        self.start_assignment()

    @torch.no_grad()
    def start_from(self, weight: Tensor) -> tuple[float, float]:
        """Make each mixture's start cell the block of the weight that the mixture stands for (sections 3.2 and 3.3).

        Exact at tau = 1 and b >= 1. Below, mixtures that start at the zero cell are lost.
        """
        blocks = cut_kernel(weight, self.cells.shape[1:]).to(self.cells.device)
        cells = torch.tensor(self.start_assignment(), device=self.cells.device)
        has_cell = cells != ZERO_CELL
        self.cells[cells[has_cell]] = blocks[has_cell].to(self.cells.dtype)
        squares = blocks.double().flatten(1).square().sum(1)
        return squares[~has_cell].sum().item(), squares.sum().item()
