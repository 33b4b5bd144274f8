"""Convolution with kernels mixed from a warehouse, fast and exact; the formulas are in :mod:`mmkw.ops.textbook`.

Two things cost: mixing, which is three matrix products with the warehouse (the kernels, the gradient of alpha, that of
the cells), and the kernels themselves, of which every sample has its own.

* Where weights of the mix have a basis, :mod:`mmkw.ops.association` says what is multiplied first; this module is the
  direct form, :mod:`mmkw.ops.factored` the other.

* Kernels are mixed for a few samples at a time, which bounds the memory, and mixed again for the backward pass unless
  the batch is small.
* Layers that share a warehouse make its gradient together, see :mod:`mmkw.ops.gather`.
* How samples are convolved with kernels of their own is in :mod:`mmkw.ops.convolve`.

``tools/benchmark/shapes.py`` measures what the choices rest on.
"""

import math
from collections.abc import Sequence
from typing import Any, Optional, Union

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .association import Factors, mixes_basis_first
from .autocast import autocast_dtype, no_autocast
from .convolve import Geometry, convolve, input_gradient, kernel_gradient
from .factored import FactoredConv, factored_conv, mixed_conv
from .gather import CellGradient, gather_of
from .kernels import as_kernel, joined, parts, to_kernel
from .observed import is_observed
from .products import product
from .textbook import textbook_conv, weights_of_mix

# Mixing again reads the warehouse once more, whatever the batch; keeping a kernel costs memory by the sample.
KEEP_UP_TO = 4
# What the largest value of a float16 gradient times the number of positions may be. The range ends at 2**16, and the
# rest is room for inputs above 1 and for the sums over cells and samples.
HALF_SUMS_UP_TO = 2**12


def mixture_conv(
    x: Tensor,
    code: Tensor,
    cells: Tensor,
    kernel: Sequence[int],
    bias: Optional[Tensor] = None,
    stride: Union[int, Sequence[int]] = 1,
    padding: Union[int, Sequence[int]] = 0,
    dilation: Union[int, Sequence[int]] = 1,
    groups: int = 1,
    basis: Optional[Tensor] = None,
    mixed: Optional[Tensor] = None,
) -> Tensor:
    """Convolve sample b with the kernel that ``code[b] . basis`` mixes from the cells.

    The same as :func:`mmkw.ops.textbook.textbook_conv`, once differentiable. Under autocast kernels are mixed
    in the autocast type.

    Args:
        x: ``(B, I, *size)``.
        code: Weights of the mix, ``(B, m, n)``, mixtures ordered by window position (row by row), then output, then
            input block; with a basis, the weights of its rows, ``(B, m, K)``.
        cells: Warehouse E, ``(n, co, ci, *cell_window)``.
        kernel: Weight shape of the layer, ``(O, I / groups, *window)``.
        bias: ``(O)``, shared by all samples.
        stride, padding, dilation, groups: As in ``torch.nn.functional.conv2d``; padding in numbers only.
        basis: ``(m, K, n)``, the same for all samples; see :mod:`mmkw.ops.association`. Default: None, the code is
            alpha itself.
        mixed: The product of the basis and the cells in the type of the (cast) input, ``(m, K, c)``, if that is there
            already (:func:`mmkw.ops.factored.mix_basis`); without gradients. Of the cells only the shape is used then.

    Returns:
        ``(B, O, *output size)``, laid out as the input (channels first or last).
    """
    dims = x.dim() - 2
    dtype = autocast_dtype(x.device.type)
    if dtype is not None:
        x = x.to(dtype)
    geometry = Geometry(tuple(kernel), _tuple(stride, dims), _tuple(padding, dims), _tuple(dilation, dims), groups)
    if mixed is not None:
        out = mixed_conv(x, code, mixed, cells.shape[1:], geometry)
    else:
        if basis is not None and is_observed():
            code, basis = weights_of_mix(code, basis), None
        # Counters of multiply-adds trace a model and know torch's own operators alone. torch.jit.trace (which alone
        # keeps a map of modules) makes a module to be run: there mmkw's operator stays, which takes any batch.
        if torch.jit.is_tracing() and torch.jit._trace._trace_module_map is None:
            return textbook_conv(x, code, cells, kernel, bias, stride, padding, dilation, groups)
        out = _mixed_in_cheaper_order(x, code, basis, cells, geometry)
    return out if bias is None else out + bias.to(out.dtype).view(-1, *[1] * dims)


def _mixed_in_cheaper_order(
    x: Tensor, code: Tensor, basis: Optional[Tensor], cells: Tensor, geometry: Geometry
) -> Tensor:
    if basis is not None:
        m, k, n = basis.shape
        if not mixes_basis_first(Factors(m, k, n, cells[0].numel()), len(x), x.dtype):
            code, basis = weights_of_mix(code, basis), None
    factors = (code,) if basis is None else (code, basis)
    direct, differentiable = (_direct, _MixtureConv) if basis is None else (factored_conv, FactoredConv)
    if not torch.is_grad_enabled() or not any(t.requires_grad for t in (x, cells, *factors)):
        return direct(x, *factors, cells, *geometry)
    gather = gather_of(cells) if cells.requires_grad else None
    if gather is None:
        return differentiable.apply(x, *factors, cells, None, None, *geometry)
    return differentiable.apply(x, *factors, cells.detach(), gather.token, gather, *geometry)


def _direct(x: Tensor, alpha: Tensor, cells: Tensor, *geometry: Any) -> Tensor:
    return torch.ops.mmkw.mixture_conv(x, alpha, cells, *geometry, False)[0]


class _MixtureConv(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, alpha: Tensor, cells: Tensor, token: Optional[Tensor], gather: Any, *geometry: Any
    ) -> Tensor:
        out, kernels = torch.ops.mmkw.mixture_conv(x, alpha, cells, *geometry, len(x) <= KEEP_UP_TO)
        ctx.save_for_backward(x, alpha, cells, kernels)
        ctx.gather, ctx.geometry = gather, geometry
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple:
        need_x, need_alpha, need_cells, need_token, *_ = ctx.needs_input_grad
        x, alpha, cells, kernels = ctx.saved_tensors
        grads: tuple[Optional[Tensor], ...]
        if need_token:
            geometry, gathered = Geometry(*ctx.geometry), ctx.gather.gradient(x.dtype)
            grads = (*_gradients(grad, x, alpha, cells, kernels, geometry, need_x, need_alpha, gathered), None)
        else:
            needed = (need_x, need_alpha, need_cells)
            grads = torch.ops.mmkw.mixture_conv_backward(grad, x, alpha, cells, kernels, *ctx.geometry, needed)
            grads = tuple(g if is_needed else None for g, is_needed in zip(grads, needed))
        return (*grads, *[None] * (2 + len(ctx.geometry)))


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
    """Output, and the kernels ``(B, *kernel)`` if kept, else nothing."""
    geometry = Geometry(kernel, stride, padding, dilation, groups)
    outs, kept = [], []
    with no_autocast(x.device.type):
        flat = cells.flatten(1).to(x.dtype)
        for part in parts(x, kernel):
            weight = _mix(alpha[part].to(x.dtype), flat, cells.shape[1:], kernel)
            outs.append(convolve(x[part], weight, geometry))
            if keep:
                kept.append(weight)
    # .data is a view of nothing: into a view that an autograd Function returns, torch lets no in-place operation write.
    return joined(outs).data, joined(kept) if keep else x.new_empty(0)


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
    gathered = CellGradient(cells.flatten(1), x.dtype)
    geometry = Geometry(kernel, stride, padding, dilation, groups)
    dx, dalpha = _gradients(
        grad, x, alpha, cells, kernels, geometry, needed[0], needed[1], gathered if needed[2] else None
    )
    nothing = x.new_empty(0)
    return (
        dx if needed[0] else nothing,
        dalpha if needed[1] else nothing,
        gathered.total().view(cells.shape) if needed[2] else nothing,
    )


def _gradients(
    grad: Tensor,
    x: Tensor,
    alpha: Tensor,
    cells: Tensor,
    kernels: Tensor,
    geometry: Geometry,
    need_x: bool,
    need_alpha: bool,
    gathered: Optional[CellGradient],
) -> tuple[Optional[Tensor], Optional[Tensor]]:
    """Gradients of x and alpha, where needed; ``gathered`` gets what makes that of the cells."""
    kernel = geometry.kernel
    grad = grad.to(x.dtype)
    shrunk = _shrinking(grad) if x.dtype == torch.float16 and (need_alpha or gathered is not None) else None
    small = grad if shrunk is None else grad * shrunk
    dxs, dalphas = [], []
    with no_autocast(x.device.type):
        flat = cells.flatten(1).to(x.dtype)
        mixtures, expected = alpha.shape[1], len(x) * max(alpha.shape[1:])
        for part in parts(x, kernel):
            alpha_part = alpha[part].to(x.dtype)
            if need_x:
                weight = kernels[part] if len(kernels) else _mix(alpha_part, flat, cells.shape[1:], kernel)
                dxs.append(input_gradient(grad[part], x[part], weight, geometry))
                del weight
            if need_alpha or gathered is not None:
                rows = alpha_part.flatten(0, 1)

                def fill(dmixed: Tensor, part: slice = part) -> None:
                    out = as_kernel(dmixed.unflatten(0, (-1, mixtures)), cells.shape[1:], kernel)
                    kernel_gradient(out, small[part], x[part], geometry)

                if gathered is None:
                    fill(dmixed := flat.new_empty(len(rows), flat.shape[1]))
                else:
                    dmixed = gathered.add(rows, expected, fill, shrunk)
                if need_alpha:
                    dalphas.append(product(dmixed, flat))
    dx = joined(dxs) if need_x else None
    if not need_alpha:
        return dx, None
    dalpha = joined(dalphas).view(alpha.shape).to(alpha.dtype)
    return dx, dalpha if shrunk is None else dalpha.div_(shrunk)


def _shrinking(grad: Tensor) -> Tensor:
    """Power of two, at most 1, by which a float16 gradient of the output ``(B, O, *size)`` has to be multiplied.

    The gradient of a kernel is a sum over all positions and leaves the range of float16 long before what is summed, and
    so do those of alpha and the cells. They are computed from the smaller gradient and divided by the same power of two
    in the type of alpha and the cells, which is float32 under autocast. Neither rounds anything more.
    """
    largest = torch.linalg.vector_norm(grad, math.inf, dtype=torch.float32)
    return torch.exp2(-(largest * math.prod(grad.shape[2:]) / HALF_SUMS_UP_TO).clamp(min=1).log2().ceil())


def _mix(alpha: Tensor, flat: Tensor, cell: Sequence[int], kernel: Sequence[int]) -> Tensor:
    """Kernels of samples, ``(B, *kernel)``."""
    return to_kernel(product(alpha.flatten(0, 1), flat.t()).view(-1, alpha.shape[1], flat.shape[1]), cell, kernel)


def _tuple(value: Union[int, Sequence[int]], dims: int) -> tuple[int, ...]:
    return (value,) * dims if isinstance(value, int) else tuple(value)


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
