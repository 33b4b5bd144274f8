"""Convolutions and the linear layer whose kernels are mixed from a warehouse (sections 3.1 to 3.3)."""

from typing import Any, Optional, Union

import torch
from torch import Tensor, nn

from mmkw.layers.base import LinearForm, Size
from mmkw.layers.dynamic import TemperatureRange
from mmkw.layers.fit import guard
from mmkw.ops import (
    ATTENTION_FUNCTIONS,
    Cut,
    assemble_kernel,
    contrasting_attention,
    num_mixtures,
    start_matrix,
)
from mmkw.ops._pooling import means, pool_in_passing
from mmkw.ops.association import Factors
from mmkw.ops.kernels import to_kernel

from .attention import KWAttention
from .kept import KeepingLayer, Kept
from .mixing import mix_and_convolve, ready_kernels
from .starting import StartingLayer
from .warehouse import Warehouse, Warehouses

ATTENTION_INITS = ('random', 'start')


class KWConvNd(KeepingLayer, StartingLayer):
    """What the KernelWarehouse convolutions share: torch's arguments, then those of KernelWarehouse.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode: As in torch.
        warehouse: The warehouse to take cells from and to share. Default: None, a warehouse of the layer's own (a
            submodule ``warehouses``) made from ``budget`` and ``cut``, which are not used otherwise.
        budget: Convolutional parameter budget b of the own warehouse. Default: 1.
        reduction, norm, nonlocal_basis_ratio: See :class:`KWAttention`.
        attention: Attention function, ``'caf'``, ``'softmax'`` or ``'sigmoid'``, see
            :func:`mmkw.ops.contrasting_attention`. Default: ``'caf'``.
        start: Start assignment, ``'one_to_one'``, ``'several_to_one'``, ``'all_to_one'`` or ``'none'``, see
            :func:`mmkw.ops.start_matrix`. With ``'none'`` the layer is at tau = 0 whatever the temperature is. Cells
            are handed out and initialised in the same way under all of them. Default: ``'one_to_one'``.
        attention_init: How the attention starts. ``'random'``, as published: a new layer at tau = 0 mixes at random,
            another kernel for each input. ``'start'``: it weighs cells as at tau = 1, within a thousandth, whatever tau
            and the input are, so that a network which starts as a plain one is one until it has learnt more. This is
            ours, not the paper's, and for ``'caf'`` alone. Default: ``'random'``.
        share_cells: Whether every mixture mixes all cells of the warehouse. If not, each has ``int(budget)`` cells of
            its own (and a zero cell), of a whole budget and a warehouse that only this layer uses. Default: True.
        **cut: How kernels are cut into the cells of the own warehouse, see :class:`mmkw.ops.Cut`.

    Shapes:
        Input ``(B, in_channels, *size)``, output ``(B, out_channels, *output size)``; every sample has its own kernel.

    Raises:
        ValueError: If the arguments do not fit together, or an input has another shape, no sample or no position.
    """

    # tau blends: 1 is the start assignment, 0 the attention.
    temperature_range = TemperatureRange(lowest=0.0, highest=1.0, start=1.0, end=0.0)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Union[Size, str] = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = 'zeros',
        *,
        warehouse: Optional[Warehouse] = None,
        budget: float = 1.0,
        reduction: float = 1 / 16,
        norm: str = 'BN',
        nonlocal_basis_ratio: float = 1.0,
        attention: str = 'caf',
        start: str = 'one_to_one',
        attention_init: str = 'random',
        share_cells: bool = True,
        **cut: Any,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode)
        _check_switches(attention, start, attention_init, share_cells, nonlocal_basis_ratio)
        self.attention_function, self.start_strategy, self.share_cells = attention, start, share_cells
        self.attention_init = attention_init
        if warehouse is None:
            warehouse = Warehouse(Warehouses(), 'cells', [self.kernel_shape], budget, Cut(**cut))
            self.warehouses = warehouse.store
            first_cell = self._take_cells(warehouse)
            warehouse.close()
            guard(self)
        else:
            # Kept out of the submodules: the network owns its warehouses, a layer only looks into them.
            object.__setattr__(self, 'warehouses', warehouse.store)
            first_cell = self._take_cells(warehouse)
        self.attention = KWAttention(
            in_channels,
            self.mixtures,
            self.cells_mixed,
            reduction,
            norm,
            nonlocal_basis_ratio,
            local_cells=(first_cell, int(warehouse.budget * self.mixtures)),
        )
        self._start_attention()
        self.kept = Kept(self.warehouses.add_factors(self.factors)) if self.has_factors else None

    def _take_cells(self, warehouse: Warehouse) -> int:
        """Take cells, note what the mixtures are at temperature 1 (beta), and return the first cell taken."""
        first_cell, mixtures = warehouse.taken, num_mixtures(self.kernel_shape, warehouse.cell)
        assignment = warehouse.take(mixtures)
        self.warehouse_name = warehouse.name
        if self.share_cells:
            self.cells_mixed = warehouse.n
            beta = start_matrix(assignment, warehouse.n, warehouse.budget, self.start_strategy)
        else:
            self.cells_mixed = int(warehouse.budget)
            if self.cells_mixed * mixtures != warehouse.n:
                raise ValueError(
                    f'share_cells=False needs a whole budget and a warehouse for each layer: {mixtures} mixtures at '
                    f'budget {warehouse.budget:g} cannot have the {warehouse.n} cells of {warehouse.name!r} to '
                    'themselves'
                )
            own = start_matrix([0], self.cells_mixed, warehouse.budget, self.start_strategy)
            beta = torch.block_diag(*[own] * mixtures)
        self.register_buffer('beta', beta, persistent=False)
        return first_cell

    @property
    def cells(self) -> nn.Parameter:
        """The warehouse, ``(n, co, ci, *cell_window)``."""
        return self.warehouses[self.warehouse_name]

    @property
    def bank(self) -> nn.Parameter:
        """The warehouse."""
        return self.cells

    @property
    def mixtures(self) -> int:
        """Number of mixtures m."""
        return len(self.beta)

    @property
    def budget(self) -> float:
        """Convolutional parameter budget b of the warehouse."""
        return self.warehouses.budgets[self.warehouse_name]

    @property
    def needs_two_samples(self) -> bool:
        """Whether the attention's norm does; see :attr:`KWAttention.needs_two_samples`."""
        return self.attention.needs_two_samples

    @property
    def kernel_macs(self) -> int:
        """Multiply-adds of mixing one kernel, m * n * cell."""
        return self.mixtures * self.cells.numel()

    @property
    def has_factors(self) -> bool:
        """Whether its weights of the mix have a basis: those of CAF do."""
        return self.attention_function == 'caf' and self.share_cells

    @property
    def factors(self) -> Factors:
        """Sizes of the code, the basis and the cells; the basis has rows for the hidden vector, a bias and beta."""
        rows = self.attention.hidden + (1 if self.start_strategy == 'none' else 2)
        return Factors(self.mixtures, rows, self.cells_mixed, self.cells.numel() // len(self.cells))

    @property
    def temperature(self) -> Tensor:
        """tau of all layers that mix from the network's warehouses."""
        return self.warehouses.temperature

    @property
    def _own_beta(self) -> Tensor:
        """beta of each mixture over its own cells, where none are shared: it is the same for all, ``(1, budget)``."""
        return self.beta[:1, : self.cells_mixed]

    def reset_attention(self) -> None:
        """Initialise the attention as at first."""
        self.attention.reset_parameters()
        self._start_attention()

    def _start_attention(self) -> None:
        if self.attention_init == 'start':
            start = self.start_map()
            if not self.share_cells:
                start = torch.cat((self._own_beta.expand(self.mixtures, -1), start[:, -1:]), 1)
            self.attention.start_at(start)

    def alpha(self, x: Tensor) -> Tensor:
        """Weights of the mix ``(B, m, n)`` for a prepared input."""
        return self.alpha_of(self.attention(means(x, self.extent)))

    def alpha_of(self, logits: Tensor) -> Tensor:
        """Weights of the mix ``(B, m, n)`` for logits of the attention, ``(B, m, n + 1)``."""
        temperature = self.temperature if self.start_strategy != 'none' else 0.0
        if self.share_cells:
            return contrasting_attention(logits, temperature, self.beta, self.attention_function)
        # Each mixture has weights of 0 for the cells of the others.
        alpha = contrasting_attention(logits, temperature, self._own_beta, self.attention_function)
        own = torch.eye(self.mixtures, dtype=alpha.dtype, device=alpha.device)
        return (alpha.unsqueeze(-2) * own.unsqueeze(-1)).flatten(-2)

    def kernel_of(self, alpha: Tensor) -> Tensor:
        """Kernels ``(B, out_channels, in_channels / groups, *kernel_size)`` of ``(B, m, n)``."""
        return assemble_kernel(alpha, self.cells, self.kernel_shape)

    def kernels_of(self, mixed: Tensor) -> Tensor:
        """Kernels of mixed cells ``(B, m, c)``."""
        return to_kernel(mixed, self.cells.shape[1:], self.kernel_shape)

    def attention_map(self, x: Tensor) -> Tensor:
        """alpha and, last, the zero cell's weight, which the layer drops: ``(B, m, n + 1)``."""
        weights = ATTENTION_FUNCTIONS[self.attention_function](self.attention(means(x, self.extent)).double())
        if not self.share_cells:
            own = torch.stack([torch.block_diag(*sample) for sample in weights[..., :-1]])
            weights = torch.cat((own, weights[..., -1:]), -1)
        if self.start_strategy == 'none':
            return weights
        tau = self.temperature.double()
        return (1 - tau) * weights + tau * self.start_map()

    def ready_kernel(self, x: Tensor) -> Tensor:
        """Kernels for a prepared input, from a mixed basis where the layer keeps one."""
        return ready_kernels(self, x)

    def _convolve(self, x: Tensor) -> Tensor:
        x, pooled = pool_in_passing(x, extent=self.extent)
        return mix_and_convolve(self, *self._padded(x), pooled)

    def extra_repr(self) -> str:
        """torch's arguments, and the warehouse."""
        return (
            f'{super().extra_repr()}, mixtures={self.mixtures}, '
            f'warehouse={self.warehouse_name} {tuple(self.cells.shape)}'
        )


def _check_switches(
    attention: str, start: str, attention_init: str, share_cells: bool, nonlocal_basis_ratio: float
) -> None:
    if attention not in ATTENTION_FUNCTIONS:
        raise ValueError(f'attention must be one of {", ".join(ATTENTION_FUNCTIONS)}, got {attention!r}')
    if attention_init not in ATTENTION_INITS:
        raise ValueError(f'attention_init must be one of {", ".join(ATTENTION_INITS)}, got {attention_init!r}')
    if attention_init == 'start' and (attention != 'caf' or start == 'none'):
        raise ValueError(
            f"attention_init='start' needs attention='caf' and a start assignment, got {attention!r} and "
            f"start={start!r}; use attention_init='random'"
        )
    if not share_cells and nonlocal_basis_ratio < 1:
        raise ValueError(
            f'nonlocal_basis_ratio={nonlocal_basis_ratio} is for cells of other layers; set it to 1 with '
            'share_cells=False'
        )


class KWConv1d(KWConvNd):
    """1-d KernelWarehouse convolution; see :class:`KWConvNd`."""

    dims = 1
    plain_class = nn.Conv1d


class KWConv2d(KWConvNd):
    """2-d KernelWarehouse convolution; see :class:`KWConvNd`."""

    dims = 2
    plain_class = nn.Conv2d


class KWConv3d(KWConvNd):
    """3-d KernelWarehouse convolution; see :class:`KWConvNd`."""

    dims = 3
    plain_class = nn.Conv3d


class KWLinear(LinearForm, KWConv1d):
    """KernelWarehouse linear layer, whose attention pools over all positions.

    Args:
        in_features, out_features, bias: As in torch.
        **kwargs: KernelWarehouse's arguments, as in :class:`KWConvNd`.
    """

    plain_class = nn.Linear
