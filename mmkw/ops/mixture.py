"""Convolution with kernels mixed from a warehouse, fast and exact; the formulas are in :mod:`mmkw.ops.textbook`.

Two things cost: mixing, which is three matrix products with the warehouse (the kernels, the gradient of the weights of
the mix, that of the cells), and the kernels themselves, of which every sample has its own.

* The products run as one batch over *slabs*, the rows ``E[:, a]`` of all cells. On CPUs that is up to twice as fast as
  one product over whole cells, whose long rows lie a power of two apart.
* Kernels are mixed for a few slabs at a time, which bounds the memory, and mixed again for the backward pass unless the
  batch is small.
* A pointwise convolution is a batched matrix product. It reads the kernels block by block, as the mixing left them,
  unless blocks are small beside the positions. Any other convolution is one of ``B * groups`` groups.

``tools/benchmark_shapes.py`` measures what these choices rest on.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any, Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

# Mixing again reads the warehouse once more, whatever the batch; keeping a kernel costs memory by the sample.
KEEP_UP_TO = 4
# Kernels mixed at a time. Smaller is slower: the input of the convolution is read again for every part.
PART_BYTES = 2**26
# Rows shorter than this are not worth a product of their own; all rows then are one.
SLAB_FROM = 64
# Of putting a pointwise kernel in one piece, in passes over it.
COPY_COST = 4

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def mixture_conv(
    x: Tensor,
    alpha: Tensor,
    cells: Tensor,
    kernel: Sequence[int],
    bias: Optional[Tensor] = None,
    stride: Union[int, Sequence[int]] = 1,
    padding: Union[int, Sequence[int]] = 0,
    dilation: Union[int, Sequence[int]] = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve sample b with the kernel that ``alpha[b]`` mixes from the cells.

    The same as ``dynamic_conv(x, assemble_kernel(alpha, cells, kernel), ...)`` of :mod:`mmkw.ops.textbook`, once
    differentiable. Under autocast kernels are mixed in the autocast type.

    Args:
        x: ``(B, I, *size)``.
        alpha: Weights of the mix, ``(B, m, n)``, mixtures ordered by window position (row by row), then output, then
            input block.
        cells: Warehouse E, ``(n, co, ci, *cell_window)``.
        kernel: Weight shape of the layer, ``(O, I / groups, *window)``.
        bias: ``(O)``, shared by all samples.
        stride, padding, dilation, groups: As in ``torch.nn.functional.conv2d``; padding in numbers only.

    Returns:
        ``(B, O, *output size)``, laid out as the input (channels first or last).
    """
    dims = x.dim() - 2
    dtype = _autocast_dtype(x.device.type)
    if dtype is not None:
        x = x.to(dtype)
    geometry = (*(_tuple(value, dims) for value in (kernel, stride, padding, dilation)), groups)
    if torch.is_grad_enabled() and (x.requires_grad or alpha.requires_grad or cells.requires_grad):
        out = _MixtureConv.apply(x, alpha, cells, *geometry)
    else:
        out, _ = torch.ops.mmkw.mixture_conv(x, alpha, cells, *geometry, False)
    return out if bias is None else out + bias.to(out.dtype).view(-1, *[1] * dims)


class _MixtureConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: Tensor, cells: Tensor, *geometry: Any) -> Tensor:
        out, kernels = torch.ops.mmkw.mixture_conv(x, alpha, cells, *geometry, len(x) <= KEEP_UP_TO)
        ctx.save_for_backward(x, alpha, cells, kernels)
        ctx.geometry = geometry
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple:
        needed = ctx.needs_input_grad[:3]
        grads = torch.ops.mmkw.mixture_conv_backward(grad, *ctx.saved_tensors, *ctx.geometry, needed)
        return (*(g if is_needed else None for g, is_needed in zip(grads, needed)), *[None] * len(ctx.geometry))


def _forward(
    x: Tensor,
    alpha: Tensor,
    cells: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    keep: bool,
) -> tuple[Tensor, Tensor]:
    """Output, and the mixed slabs of the whole kernels ``(co, M, ci * cell_window)`` if kept, else nothing."""
    conv = _choose(x, cells, kernel, stride, padding, dilation, groups)
    rows = conv.rows_of(alpha).to(x.dtype)
    outs, kept = [], []
    with _no_autocast(x.device.type):
        for part in conv.parts():
            mixed = mix(rows, _slabs(cells, part, x.dtype))
            outs.append(conv.forward(mixed))
            if keep:
                kept.append(mixed)
        out = _cat(outs, 2).flatten(1, 2)
        return out.contiguous(memory_format=_memory_format(x)), _cat(kept, 0) if keep else x.new_empty(0)


def _backward(
    grad: Tensor,
    x: Tensor,
    alpha: Tensor,
    cells: Tensor,
    kernels: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    needed: Sequence[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, alpha and cells, where needed (else nothing); ``kernels`` is what the forward pass kept."""
    conv = _choose(x, cells, kernel, stride, padding, dilation, groups)
    rows = conv.rows_of(alpha).to(x.dtype)
    grad = grad.to(x.dtype).unflatten(1, (-1, conv.co))
    dx, dalpha, dcells = None, None, []
    with _no_autocast(x.device.type):
        for part in conv.parts():
            slabs = _slabs(cells, part, x.dtype)
            mixed = kernels[part] if len(kernels) else mix(rows, slabs) if needed[0] else None
            dx_part, dmixed = conv.backward(mixed, grad[:, :, part], needed[0], needed[1] or needed[2])
            del mixed
            dx = _add(dx, dx_part)
            if needed[1]:
                dalpha = _add(dalpha, mix_grad(dmixed, slabs))
            if needed[2]:
                dcells.append(torch.bmm(rows.t().expand(len(slabs), -1, -1), dmixed).to(cells.dtype))
    nothing = x.new_empty(0)
    return (
        conv.input_grad(dx) if needed[0] else nothing,
        conv.undo_rows(dalpha).to(alpha.dtype) if needed[1] else nothing,
        # Laid out as the cells are, so that autograd can take it as it is.
        _cat(dcells, 0).transpose(0, 1).unflatten(2, cells.shape[2:]) if needed[2] else nothing,
    )


def _slabs(cells: Tensor, part: slice, dtype: torch.dtype) -> Tensor:
    """Rows of all cells, ``(rows, n, ci * cell_window)``."""
    return cells[:, part].flatten(2).transpose(0, 1).to(dtype)


def mix(rows: Tensor, slabs: Tensor) -> Tensor:
    """Rows of all blocks of all kernels, ``(rows, M, ci * cell_window)``."""
    if slabs.shape[2] < SLAB_FROM:
        return (rows @ _as_one(slabs)).unflatten(1, (len(slabs), -1)).transpose(0, 1)
    return torch.bmm(rows.expand(len(slabs), -1, -1), slabs)


def mix_grad(dmixed: Tensor, slabs: Tensor) -> Tensor:
    """Gradient of the rows of alpha, ``(M, n)``."""
    if slabs.shape[2] < SLAB_FROM:
        return _as_one(dmixed) @ _as_one(slabs).t()
    if dmixed.shape[1] > slabs.shape[1]:  # as the larger operand on the right the kernels are read faster
        return torch.bmm(slabs, dmixed.transpose(1, 2)).sum(0).t()
    return torch.bmm(dmixed, slabs.transpose(1, 2)).sum(0)


def _as_one(slabs: Tensor) -> Tensor:
    return slabs.transpose(0, 1).flatten(1)


class _Conv:
    """A way to convolve with mixed slabs. Letters as in the formulas: ``G_o x G_i`` blocks of ``co x ci`` channels."""

    def __init__(self, x: Tensor, cells: Tensor, kernel: Sequence[int], row_parts: int) -> None:
        self.x, self.batch, self.kernel = x, len(x), tuple(kernel)
        self.co, self.ci = cells.shape[1:3]
        self.blocks_out, self.blocks_in = kernel[0] // self.co, kernel[1] // self.ci
        self.part_rows = math.ceil(self.co / min(max(row_parts, 1), self.co))

    def parts(self) -> Iterator[slice]:
        return (slice(a, min(a + self.part_rows, self.co)) for a in range(0, self.co, self.part_rows))


class _Pointwise(_Conv):
    """Batched matrix products, one for each input block; kernel blocks come in the order ``(G_i, B, G_o)``."""

    def __init__(self, x: Tensor, cells: Tensor, kernel: Sequence[int], row_parts: int, stride: Sequence[int]) -> None:
        super().__init__(x, cells, kernel, row_parts)
        self.steps = (..., *(slice(None, None, step) for step in stride))
        seen = x[self.steps]
        self.size = seen.shape[2:]
        # Every output block reads the same input: (B * G_o, ci, positions).
        self.inputs = [
            block.flatten(2).unsqueeze(1).expand(-1, self.blocks_out, -1, -1).flatten(0, 1)
            for block in seen.split(self.ci, 1)
        ]

    def rows_of(self, alpha: Tensor) -> Tensor:
        blocks = alpha.unflatten(1, (self.blocks_out, self.blocks_in))
        return blocks.permute(2, 0, 1, 3).flatten(0, 2)

    def undo_rows(self, rows: Tensor) -> Tensor:
        blocks = rows.unflatten(0, (self.blocks_in, self.batch, self.blocks_out))
        return blocks.permute(1, 2, 0, 3).flatten(1, 2)

    def _matrices(self, mixed: Tensor) -> Tensor:
        return mixed.unflatten(1, (self.blocks_in, -1)).permute(1, 2, 0, 3)  # (G_i, B * G_o, rows, ci)

    def forward(self, mixed: Tensor) -> Tensor:
        matrices = self._matrices(mixed)
        out = torch.bmm(matrices[0], self.inputs[0])
        for weight, block in zip(matrices[1:], self.inputs[1:]):
            out.baddbmm_(weight, block)
        return out.view(self.batch, self.blocks_out, -1, *self.size)

    def backward(
        self, mixed: Optional[Tensor], grad: Tensor, need_x: bool, need_mixed: bool
    ) -> tuple[Optional[Tensor], Optional[Tensor]]:
        grad = grad.flatten(3).flatten(0, 1)
        dx = dmixed = None
        if need_mixed:
            dmixed = grad.new_empty(self.blocks_in, len(grad), grad.shape[1], self.ci)
            for target, block in zip(dmixed, self.inputs):
                torch.bmm(grad, block.transpose(1, 2), out=target)
            dmixed = dmixed.flatten(0, 1).transpose(0, 1)
        if need_x:
            dx = [torch.bmm(weight.transpose(1, 2), grad) for weight in self._matrices(mixed)]
            dx = _cat(dx, 1)
            if self.blocks_out > 1:
                dx = dx.unflatten(0, (self.batch, -1)).sum(1)
        return dx, dmixed

    def input_grad(self, dx: Tensor) -> Tensor:
        return _spread(dx.view(self.batch, -1, *self.size), self.x, self.steps)


class _Grouped(_Conv):
    """One convolution of ``B * groups`` groups; kernel blocks come as in alpha, ``(B, positions, G_o, G_i)``."""

    def __init__(
        self,
        x: Tensor,
        cells: Tensor,
        kernel: Sequence[int],
        row_parts: int,
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        groups: int,
    ) -> None:
        # With groups some rows of the kernel would need some channels of the input.
        super().__init__(x, cells, kernel, row_parts if groups == 1 else 1)
        self.input = x.reshape(1, -1, *x.shape[2:])
        self.geometry, self.groups = (stride, padding, dilation), self.batch * groups
        self.cell_window = math.prod(cells.shape[3:])
        self.positions = math.prod(kernel[2:]) // self.cell_window

    def rows_of(self, alpha: Tensor) -> Tensor:
        return alpha.flatten(0, 1)

    def undo_rows(self, rows: Tensor) -> Tensor:
        return rows.unflatten(0, (self.batch, -1))

    def _weight(self, mixed: Tensor) -> Tensor:
        shape = (-1, self.batch, self.positions, self.blocks_out, self.blocks_in, self.ci, self.cell_window)
        # A cell's window is either 1 or the whole window, so (position, cell window) flattens to the window.
        return mixed.view(shape).permute(1, 3, 0, 4, 5, 2, 6).reshape(-1, *self.kernel[1:])

    def forward(self, mixed: Tensor) -> Tensor:
        conv = _CONV[len(self.kernel) - 2]
        out = conv(self.input, self._weight(mixed), None, *self.geometry, self.groups)
        return out.view(self.batch, self.blocks_out, -1, *out.shape[2:])

    def backward(
        self, mixed: Optional[Tensor], grad: Tensor, need_x: bool, need_mixed: bool
    ) -> tuple[Optional[Tensor], Optional[Tensor]]:
        rows, dims = grad.shape[2], len(self.kernel) - 2
        if mixed is None:  # the gradient of the kernels does not need their values
            weight = grad.new_empty(self.batch * self.blocks_out * rows, *self.kernel[1:])
        else:
            weight = self._weight(mixed)
        dx, dweight, _ = torch.ops.aten.convolution_backward(
            grad.reshape(1, -1, *grad.shape[3:]),
            self.input,
            weight,
            None,
            *self.geometry,
            False,
            [0] * dims,
            self.groups,
            [need_x, need_mixed, False],
        )
        return dx, self._slabs_of(dweight, rows) if need_mixed else None

    def _slabs_of(self, dweight: Tensor, rows: int) -> Tensor:
        shape = (self.batch, self.blocks_out, rows, self.blocks_in, self.ci, self.positions, self.cell_window)
        return dweight.reshape(shape).permute(2, 0, 5, 1, 3, 4, 6).flatten(5).flatten(1, 4)

    def input_grad(self, dx: Tensor) -> Tensor:
        return dx.view(self.x.shape)


class _Whole(_Grouped):
    """Of a pointwise layer: one matrix product a sample, with the whole kernel in one piece."""

    def __init__(self, x: Tensor, cells: Tensor, kernel: Sequence[int], row_parts: int, stride: Sequence[int]) -> None:
        self.all, self.steps = x, (..., *(slice(None, None, step) for step in stride))
        super().__init__(x[self.steps], cells, kernel, row_parts, stride, (), (), 1)
        self.matrices = self.input.reshape(self.batch, kernel[1], -1)

    def _matrix(self, mixed: Tensor) -> Tensor:
        return self._weight(mixed).view(self.batch, -1, self.kernel[1])

    def forward(self, mixed: Tensor) -> Tensor:
        out = torch.bmm(self._matrix(mixed), self.matrices)
        return out.view(self.batch, self.blocks_out, -1, *self.x.shape[2:])

    def backward(
        self, mixed: Optional[Tensor], grad: Tensor, need_x: bool, need_mixed: bool
    ) -> tuple[Optional[Tensor], Optional[Tensor]]:
        rows = grad.shape[2]
        grad = grad.flatten(3).flatten(1, 2)
        dx = torch.bmm(self._matrix(mixed).transpose(1, 2), grad) if need_x else None
        dmixed = self._slabs_of(torch.bmm(grad, self.matrices.transpose(1, 2)), rows) if need_mixed else None
        return dx, dmixed

    def input_grad(self, dx: Tensor) -> Tensor:
        return _spread(dx.view(self.x.shape), self.all, self.steps)


def _choose(
    x: Tensor,
    cells: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Union[_Pointwise, _Grouped, _Whole]:
    parts = math.ceil(len(x) * math.prod(kernel) * x.element_size() / PART_BYTES)
    if math.prod(kernel[2:]) == 1 and groups == 1 and not any(padding):
        # Block by block inputs and outputs are gone through more often; in one piece the kernel is copied once more.
        co, ci = cells.shape[1:3]
        positions = math.prod(math.ceil(size / step) for size, step in zip(x.shape[2:], stride))
        more = ((kernel[0] // co - 1) * kernel[1] + (kernel[1] // ci - 1) * kernel[0]) * positions
        way = _Pointwise if more <= COPY_COST * kernel[0] * kernel[1] else _Whole
        return way(x, cells, kernel, parts, stride)
    return _Grouped(x, cells, kernel, parts, stride, padding, dilation, groups)


def _cat(tensors: list[Tensor], dim: int) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors, dim)


def _spread(dx: Tensor, x: Tensor, steps: tuple) -> Tensor:
    """The gradient of x from that of ``x[steps]``."""
    if dx.shape == x.shape:
        return dx
    whole = torch.zeros_like(x)
    whole[steps] = dx
    return whole


def _add(total: Optional[Tensor], part: Optional[Tensor]) -> Optional[Tensor]:
    return part if total is None else total.add_(part)


def _memory_format(x: Tensor) -> torch.memory_format:
    for dims, channels_last in ((4, torch.channels_last), (5, torch.channels_last_3d)):
        if x.dim() == dims and x.is_contiguous(memory_format=channels_last) and not x.is_contiguous():
            return channels_last
    return torch.contiguous_format


def _tuple(value: Union[int, Sequence[int]], dims: int) -> tuple[int, ...]:
    return (value,) * dims if isinstance(value, int) else tuple(value)


def _autocast_dtype(device: str) -> Optional[torch.dtype]:
    if device == 'meta':
        return None
    if hasattr(torch, 'get_autocast_dtype'):  # torch 2.4
        return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
    if device == 'cpu':
        return torch.get_autocast_cpu_dtype() if torch.is_autocast_cpu_enabled() else None
    return torch.get_autocast_gpu_dtype() if torch.is_autocast_enabled() else None


def _no_autocast(device: str) -> Any:
    # The meta device, on which torch.compile finds out shapes, knows no autocast.
    return nullcontext() if device == 'meta' else torch.autocast(device, enabled=False)


# As operators of torch's own kind they are one node each to torch.compile, which would otherwise keep every mixed
# kernel from the forward pass for the backward pass.
_LIBRARY = torch.library.Library('mmkw', 'DEF')
_GEOMETRY = 'int[] kernel, int[] stride, int[] padding, int[] dilation, int groups'
_LIBRARY.define(f'mixture_conv(Tensor x, Tensor alpha, Tensor cells, {_GEOMETRY}, bool keep) -> (Tensor, Tensor)')
_LIBRARY.define(
    f'mixture_conv_backward(Tensor grad, Tensor x, Tensor alpha, Tensor cells, Tensor kernels, {_GEOMETRY}, '
    'bool[] needed) -> (Tensor, Tensor, Tensor)'
)
_LIBRARY.impl('mixture_conv', _forward, 'CompositeExplicitAutograd')
_LIBRARY.impl('mixture_conv_backward', _backward, 'CompositeExplicitAutograd')
