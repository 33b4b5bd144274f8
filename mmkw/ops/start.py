"""What mixtures are at temperature 1: the published strategy, and those that the paper compares it with."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .partition import ZERO_CELL

START_STRATEGIES = ('one_to_one', 'several_to_one', 'all_to_one', 'none')


def start_matrix(assignment: Sequence[int], cells: int, budget: float, strategy: str) -> Tensor:
    """Beta of equation 3: what each mixture is at temperature 1, as weights of the cells.

    The published strategy is ``'one_to_one'``: a mixture is the cell that it is assigned. Of the others
    ``'several_to_one'`` makes it the mean of the ``int(budget)`` cells that :func:`start_assignment` sets apart for it,
    ``'all_to_one'`` the mean of all cells of the warehouse, and ``'none'`` gives it no cell at all; the attention then
    has to be used without a temperature. Means, so that the weights of a mixture that starts at cells sum to 1.

    Args:
        assignment: Cell of each mixture, from :func:`start_assignment`; -1 is the zero cell.
        cells: Number of cells n of the warehouse.
        budget: Budget b.
        strategy: One of ``START_STRATEGIES``.

    Returns:
        ``(m, n)``.

    Raises:
        ValueError: If the strategy is unknown, or ``'several_to_one'`` is asked for at a budget below 2, where no
            mixture has several cells.
    """
    if strategy not in START_STRATEGIES:
        raise ValueError(f'start must be one of {", ".join(START_STRATEGIES)}, got {strategy!r}')
    if strategy == 'several_to_one' and budget < 2:
        raise ValueError(f"start='several_to_one' needs a budget of 2 or above, got {budget:g}; use 'one_to_one'")
    beta = torch.zeros(len(assignment), cells)
    if strategy == 'all_to_one':
        return beta.fill_(1 / cells)
    several = int(budget) if strategy == 'several_to_one' else 1
    for mixture, cell in enumerate(assignment):
        if strategy != 'none' and cell != ZERO_CELL:
            beta[mixture, cell : cell + several] = 1 / several
    return beta
