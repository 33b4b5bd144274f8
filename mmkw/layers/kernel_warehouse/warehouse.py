"""Warehouses: the cells that layers share, and the temperature of their attentions (section 3.1)."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional

import torch
from torch import Tensor, nn

from mmkw.layers.dynamic import SharedState
from mmkw.ops import ZERO_CELL, Cut, cell_shape, num_cells, num_mixtures, start_assignment
from mmkw.ops.association import Factors, worth_keeping

from .words import warehouses_in_words


class Warehouses(SharedState):
    """All warehouses of a network: for each group a parameter ``(n, co, ci, *cell_window)`` under the group's name.

    It also holds ``temperature``, tau of every attention that mixes from these warehouses. tau is part of the state
    so that resuming, weight averaging and distributed training agree about it; a state dict without it leaves it as
    it is.

    ``budgets`` has the budget b of each warehouse, which cells and mixtures alone do not tell where some of the layers
    that a warehouse was cut for are absent (:class:`mmkw.plans.WarehousePlan`).

    ``factors`` has the sizes of each layer that could keep a mixed basis in inference, ``kept_layers`` the indices of
    those that do, see :func:`mmkw.set_inference_memory`; None are those that fit in as much memory as the warehouses
    themselves take.
    """

    temperature: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.budgets: dict[str, float] = {}
        self.factors: list[Factors] = []
        self.kept_layers: Optional[frozenset[int]] = None
        self.register_buffer('temperature', torch.zeros(()))

    def __getitem__(self, name: str) -> nn.Parameter:
        return self._parameters[name]

    def keeps(self, index: int) -> bool:
        """Whether the layer whose factors have this index keeps its mixed basis."""
        if self.kept_layers is None:
            self.kept_layers = frozenset(worth_keeping(self.factors, sum(p.numel() for p in self.parameters())))
        return index in self.kept_layers

    def add_factors(self, factors: Factors) -> int:
        """Count in a layer; its index in ``factors``."""
        self.factors.append(factors)
        self.kept_layers = None
        return len(self.factors) - 1

    def forward(self, x: Tensor) -> Tensor:
        """Return the input, so that an ``nn.Sequential`` too can own its warehouses."""
        return x

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        missing_keys = args[2]
        super()._load_from_state_dict(state_dict, prefix, *args)
        if f'{prefix}temperature' in missing_keys:
            missing_keys.remove(f'{prefix}temperature')

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        # Cells are no images: Module.to(memory_format=...) would refuse their axes, or take them for channels.
        def fn_on_flat(t: Tensor) -> Tensor:
            return fn(t.flatten(2)).unflatten(2, t.shape[2:]) if t.dim() > 3 else fn(t)

        return super()._apply(fn_on_flat, recurse)

    def describe(self, owner: nn.Module, state: Mapping[str, Any]) -> list[str]:
        """Budget and warehouses of a state dict; see :meth:`mmkw.layers.SharedState.describe`."""
        return warehouses_in_words(owner, state)

    def extra_repr(self) -> str:
        """Name and shape of every warehouse."""
        return ', '.join(f'{name}={tuple(cells.shape)}' for name, cells in self._parameters.items())


class Warehouse:
    """One warehouse while a network is being built: its cells, and the counter that hands them out to layers.

    Args:
        store: Where the parameter is kept.
        name: Name of the group of layers that share it.
        kernels: Weight shapes ``(O, I / groups, *window)`` of all those layers.
        budget: Convolutional parameter budget b.
        cut: How the kernels are cut into cells. Default: every axis is partitioned, with ratios of 1.

    Raises:
        ValueError: If the kernels cannot be cut as asked, or the name is taken or no attribute name.
    """

    def __init__(
        self,
        store: Warehouses,
        name: str,
        kernels: Sequence[Sequence[int]],
        budget: float,
        cut: Cut = Cut(),  # noqa: B008 - it is frozen
    ) -> None:
        if not name or '.' in name or hasattr(store, name):
            raise ValueError(f'a warehouse cannot be named {name!r}; choose an unused name without a dot')
        try:
            self.cell = cell_shape(kernels, cut)
            self.n = num_cells(budget, sum(num_mixtures(kernel, self.cell) for kernel in kernels))
        except ValueError as error:
            raise ValueError(f'warehouse {name!r}: {error}') from error
        self.store, self.name, self.budget = store, name, budget
        self.taken = 0
        store.budgets[name] = budget
        store.register_parameter(name, nn.Parameter(torch.empty(self.n, *self.cell)))
        store.kept_layers = None

    def take(self, mixtures: int) -> list[int]:
        """Hand the next cells to a layer of ``mixtures`` mixtures, initialise them, and say which mixture starts where.

        Raises:
            ValueError: If the warehouse has fewer cells left than the layer takes.
        """
        start = self.taken
        assignment = start_assignment(mixtures, self.budget, start)
        used = sum(cell != ZERO_CELL for cell in assignment)
        self.taken += used * int(self.budget) if self.budget >= 1 else used
        if self.taken > self.n:
            raise ValueError(self._miscount())
        if used:
            co, _, *window = self.cell
            std = math.sqrt(2 / ((self.taken - start) * co * math.prod(window)))
            with torch.no_grad():
                self.store[self.name][start : self.taken].normal_(0, std)
        return assignment

    def close(self) -> None:
        """Check that every cell has been handed out.

        Raises:
            ValueError: If the counter does not equal n.
        """
        if self.taken != self.n:
            raise ValueError(self._miscount())

    def _miscount(self) -> str:
        return (
            f'warehouse {self.name!r} has {self.n} cells but its layers take {self.taken} at budget {self.budget:g}; '
            'use a whole budget (1, 2, 4, ...) or one whose inverse is whole (1/2, 1/4, ...), and for a budget below 1 '
            'smaller cell ratios, so that every layer has enough mixtures'
        )
