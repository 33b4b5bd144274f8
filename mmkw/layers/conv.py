"""Convolutions and the linear layer whose kernels are mixed from a warehouse (sections 3.1 to 3.3)."""

from collections.abc import Callable, Sequence
from typing import Any, Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmkw.ops import (
    ATTENTION_FUNCTIONS,
    assemble_kernel,
    contrasting_attention,
    mixture_conv,
    num_mixtures,
    pool,
    start_matrix,
)

from .attention import KWAttention
from .fit import guard
from .warehouse import Warehouse, Warehouses, initialises

Size = Union[int, Sequence[int]]


class KWConvNd(nn.Module):
    """What the KernelWarehouse convolutions share: torch's arguments, then those of KernelWarehouse.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode: As in torch.
        warehouse: The warehouse to take cells from and to share. Default: None, a warehouse of the layer's own (a
            submodule ``warehouses``) made from the five arguments that follow, which are not used otherwise.
        budget: Convolutional parameter budget b of the own warehouse. Default: 1.
        cell_inplane_ratio, cell_outplane_ratio, spatial_partition, channel_partition: See :func:`mmkw.ops.cell_shape`.
        reduction, norm, nonlocal_basis_ratio: See :class:`KWAttention`.
        attention: Attention function, ``'caf'``, ``'softmax'`` or ``'sigmoid'``, see
            :func:`mmkw.ops.contrasting_attention`. Default: ``'caf'``.
        start: Start assignment, ``'one_to_one'``, ``'several_to_one'``, ``'all_to_one'`` or ``'none'``, see
            :func:`mmkw.ops.start_matrix`. With ``'none'`` the layer is at tau = 0 whatever the temperature is. Cells
            are handed out and initialised in the same way under all of them. Default: ``'one_to_one'``.
        share_cells: Whether every mixture mixes all cells of the warehouse. If not, each has ``int(budget)`` cells of
            its own (and a zero cell), of a whole budget and a warehouse that only this layer uses. Default: True.

    Shapes:
        Input ``(B, in_channels, *size)``, output ``(B, out_channels, *output size)``; every sample has its own kernel.

    Raises:
        ValueError: If the arguments do not fit together, or an input has another shape, no sample or no position.
    """

    dims: int

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
        cell_inplane_ratio: float = 1.0,
        cell_outplane_ratio: float = 1.0,
        spatial_partition: bool = True,
        channel_partition: bool = True,
        reduction: float = 1 / 16,
        norm: str = 'BN',
        nonlocal_basis_ratio: float = 1.0,
        attention: str = 'caf',
        start: str = 'one_to_one',
        share_cells: bool = True,
    ) -> None:
        super().__init__()
        if attention not in ATTENTION_FUNCTIONS:
            raise ValueError(f'attention must be one of {", ".join(ATTENTION_FUNCTIONS)}, got {attention!r}')
        if in_channels % groups or out_channels % groups:
            raise ValueError(f'groups={groups} must divide in_channels={in_channels} and out_channels={out_channels}')
        # torch's own layer, on the meta device where it costs nothing, reads torch's arguments as torch does.
        torch_conv = getattr(nn, f'Conv{self.dims}d')
        plain = torch_conv(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            False,
            padding_mode,
            device='meta',
        )
        if plain.weight.dim() != self.dims + 2:
            raise ValueError(f'kernel_size must be an int or {self.dims} ints, got {kernel_size!r}')
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride, self.dilation = plain.kernel_size, plain.stride, plain.dilation
        self.padding, self.padding_mode = plain.padding, padding_mode
        # Modules that hold a layer, such as mmcv's ConvModule, ask for these two.
        self.transposed, self.output_padding = plain.transposed, plain.output_padding
        self._pad_both_sides = plain._reversed_padding_repeated_twice
        self.kernel_shape = tuple(plain.weight.shape)

        own = warehouse is None
        if warehouse is None:
            cut = (cell_inplane_ratio, cell_outplane_ratio, spatial_partition, channel_partition)
            warehouse = Warehouse(Warehouses(), 'cells', [self.kernel_shape], budget, *cut)
        first_cell, mixtures = warehouse.taken, num_mixtures(self.kernel_shape, warehouse.cell)
        assignment = warehouse.take(mixtures)
        if own:
            warehouse.close()
            self.warehouses = warehouse.store
            guard(self)
        else:
            # Kept out of the submodules: the network owns its warehouses, a layer only looks into them.
            object.__setattr__(self, 'warehouses', warehouse.store)
        self.warehouse_name = warehouse.name

        self.attention_function, self.start_strategy, self.share_cells = attention, start, share_cells
        self.cells_mixed = warehouse.n if share_cells else int(warehouse.budget)
        if not share_cells and nonlocal_basis_ratio < 1:
            raise ValueError(
                f'nonlocal_basis_ratio={nonlocal_basis_ratio} is for cells of other layers; set it to 1 with '
                'share_cells=False'
            )
        if self.cells_mixed * (1 if share_cells else mixtures) != warehouse.n:
            raise ValueError(
                f'share_cells=False needs a whole budget and a warehouse for each layer: {mixtures} mixtures at budget '
                f'{warehouse.budget:g} cannot have the {warehouse.n} cells of {warehouse.name!r} to themselves'
            )
        if share_cells:
            beta = start_matrix(assignment, warehouse.n, warehouse.budget, start)
        else:
            beta = torch.block_diag(*[start_matrix([0], self.cells_mixed, warehouse.budget, start)] * mixtures)
        self.register_buffer('start', beta, persistent=False)
        self.attention = KWAttention(
            in_channels,
            mixtures,
            self.cells_mixed,
            reduction,
            norm,
            nonlocal_basis_ratio,
            local_cells=(first_cell, int(warehouse.budget * mixtures)),
        )
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    @property
    def cells(self) -> nn.Parameter:
        """The warehouse, ``(n, co, ci, *cell_window)``."""
        return self.warehouses[self.warehouse_name]

    def apply(self, fn: Callable[[nn.Module], Any]) -> nn.Module:
        """Apply a function as in torch; but one that initialises for mmengine's ``init_cfg`` reaches the bias alone.

        A recipe's ``init_cfg`` means plain layers. So the bias starts as that of the plain layer would, and the
        attention and the cells, which are no plain layers, keep what KernelWarehouse starts them as.
        """
        if not initialises(fn, self):
            return super().apply(fn)
        plain = self._plain()
        plain.bias = self.bias
        fn(plain)
        fn(self)
        return self

    def _plain(self) -> nn.Module:
        """A layer of the class that this one stands for, on the meta device."""
        plain = getattr(nn, f'Conv{self.dims}d')
        return plain(self.in_channels, self.out_channels, self.kernel_size, groups=self.groups, device='meta')

    def start_assignment(self) -> list[int]:
        """Cell of each mixture at temperature 1, -1 for the zero cell.

        Raises:
            ValueError: If the layer's mixtures do not start at single cells.
        """
        if self.start_strategy != 'one_to_one':
            raise ValueError(f'start={self.start_strategy!r} assigns no single cell to a mixture')
        return [int(row.argmax()) if row.any() else -1 for row in self.start]

    def alpha(self, x: Tensor) -> Tensor:
        """Weights of the mix ``(B, m, n)`` for an input."""
        _, pooled = pool(x)
        return self.alpha_of(self.attention(pooled))

    def alpha_of(self, logits: Tensor) -> Tensor:
        """Weights of the mix ``(B, m, n)`` for logits of the attention, ``(B, m, n + 1)``."""
        temperature = self.warehouses.temperature if self.start_strategy != 'none' else 0.0
        if self.share_cells:
            return contrasting_attention(logits, temperature, self.start, self.attention_function)
        # Each mixture has the same beta over its own cells, and weights of 0 for those of the others.
        start = self.start[:1, : self.cells_mixed]
        alpha = contrasting_attention(logits, temperature, start, self.attention_function)
        mixtures = len(self.start)
        own = torch.eye(mixtures, dtype=alpha.dtype, device=alpha.device)
        return (alpha.unsqueeze(-2) * own.unsqueeze(-1)).flatten(-2)

    def kernel(self, x: Tensor) -> Tensor:
        """Kernels ``(B, out_channels, in_channels / groups, *kernel_size)`` for an input."""
        return assemble_kernel(self.alpha(x), self.cells, self.kernel_shape)

    def forward(self, x: Tensor) -> Tensor:
        self._check_input(x)
        x, pooled = pool(x)
        alpha, padding = self.alpha_of(self.attention(pooled)), self.padding
        if self.padding_mode != 'zeros' or isinstance(padding, str):
            mode = 'constant' if self.padding_mode == 'zeros' else self.padding_mode
            x, padding = F.pad(x, self._pad_both_sides, mode=mode), 0
        geometry = (self.stride, padding, self.dilation, self.groups)
        return mixture_conv(x, alpha, self.cells, self.kernel_shape, self.bias, *geometry)

    def _check_input(self, x: Tensor) -> None:
        if x.dim() != self.dims + 2 or x.shape[1] != self.in_channels or 0 in x.shape:
            raise ValueError(
                f'{type(self).__name__} needs an input of shape (batch, {self.in_channels}'
                f'{", size" * self.dims}), none of them 0, got {tuple(x.shape)}'
            )

    def extra_repr(self) -> str:
        text = f'{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}'
        defaults = dict(padding=(0,) * self.dims, dilation=(1,) * self.dims, groups=1, padding_mode='zeros')
        text += ''.join(f', {k}={getattr(self, k)!r}' for k, v in defaults.items() if getattr(self, k) != v)
        if self.bias is None:
            text += ', bias=False'
        return f'{text}, mixtures={len(self.start)}, warehouse={self.warehouse_name} {tuple(self.cells.shape)}'


class KWConv1d(KWConvNd):
    """1-d KernelWarehouse convolution; see :class:`KWConvNd`."""

    dims = 1


class KWConv2d(KWConvNd):
    """2-d KernelWarehouse convolution; see :class:`KWConvNd`."""

    dims = 2


class KWConv3d(KWConvNd):
    """3-d KernelWarehouse convolution; see :class:`KWConvNd`."""

    dims = 3


class KWLinear(KWConv1d):
    """KernelWarehouse linear layer: a 1-wide 1-d convolution whose attention pools over all positions.

    Args:
        in_features, out_features, bias: As in torch.
        **kwargs: KernelWarehouse's arguments, as in :class:`KWConvNd`.

    Shapes:
        Input ``(B, ..., in_features)``, output ``(B, ..., out_features)``; the first axis is the batch.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, **kwargs: Any) -> None:
        super().__init__(in_features, out_features, 1, bias=bias, **kwargs)
        self.in_features, self.out_features = in_features, out_features

    def _plain(self) -> nn.Module:
        return nn.Linear(self.in_features, self.out_features, device='meta')

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() < 2 or x.shape[-1] != self.in_features or 0 in x.shape:
            raise ValueError(
                f'KWLinear needs an input of shape (batch, ..., {self.in_features}), none of them 0, '
                f'got {tuple(x.shape)}'
            )
        out = super().forward(x.reshape(x.shape[0], -1, self.in_features).transpose(1, 2))
        return out.transpose(1, 2).reshape(*x.shape[:-1], self.out_features)
