"""Convolution with kernels whose basis is mixed first: ``code . (basis . cells)``, see :mod:`mmkw.ops.association`.

The mixed basis G ``(m, K, c)`` takes K times the memory of a kernel. It is made once per pass, again in the backward
pass, and there its gradient, which is what layers that share the cells hand in, row by row of the basis.
"""

from collections.abc import Sequence
from typing import Any, Optional

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .autocast import no_autocast
from .convolve import Geometry, convolve, input_gradient, kernel_gradient
from .gather import CellGradient
from .kernels import as_kernel, joined, parts, to_kernel
from .products import product, stacked_product


def mix_basis(basis: Tensor, cells: Tensor, dtype: torch.dtype) -> Tensor:
    """The mixed basis G, ``(m, K, c)``, of a basis ``(m, K, n)`` and cells ``(n, ...)``, in a type."""
    with no_autocast(cells.device.type):
        rows, flat = basis.flatten(0, 1).to(dtype), cells.flatten(1).to(dtype)
        return product(rows, flat.t()).view(*basis.shape[:2], -1)


def mixed_kernels(code: Tensor, mixed: Tensor, cell: Sequence[int], kernel: Sequence[int]) -> Tensor:
    """Kernels ``(B, *kernel)`` that a code ``(B, m, K)`` mixes from a mixed basis ``(m, K, c)``."""
    weight = mixed.new_empty(len(code), len(mixed), mixed.shape[2])
    stacked_product(code.transpose(0, 1), mixed.transpose(1, 2), weight.transpose(0, 1))
    return to_kernel(weight, cell, kernel)


def mixed_conv(x: Tensor, code: Tensor, mixed: Tensor, cell: Sequence[int], geometry: Geometry) -> Tensor:
    """Convolve with kernels mixed from a mixed basis; not differentiable.

    Args:
        x: ``(B, I, *size)``, of the type of the mixed basis.
        code: ``(B, m, K)``.
        mixed: ``(m, K, c)``.
        cell: Shape of a cell.
        geometry: Weight shape, stride, padding, dilation, groups.
    """
    outs = []
    with no_autocast(x.device.type):
        code = code.to(x.dtype)
        for part in parts(x, geometry.kernel):
            outs.append(convolve(x[part], mixed_kernels(code[part], mixed, cell, geometry.kernel), geometry))
    # .data is a view of nothing: into a view that an autograd Function returns, torch lets no in-place operation write.
    return joined(outs).data


def factored_conv(x: Tensor, code: Tensor, basis: Tensor, cells: Tensor, *geometry: Any) -> Tensor:
    """Convolve with kernels mixed from the basis mixed first; not differentiable."""
    return mixed_conv(x, code, mix_basis(basis, cells, x.dtype), cells.shape[1:], Geometry(*geometry))


class FactoredConv(torch.autograd.Function):
    """:func:`factored_conv` and its gradients; of the cells through the token of a gather where there is one."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        code: Tensor,
        basis: Tensor,
        cells: Tensor,
        token: Optional[Tensor],
        gather: Any,
        *geometry: Any,
    ) -> Tensor:
        ctx.save_for_backward(x, code, basis, cells)
        ctx.gather, ctx.geometry = gather, Geometry(*geometry)
        return factored_conv(x, code, basis, cells, *geometry)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple:
        need_x, need_code, need_basis, need_cells, need_token, *_ = ctx.needs_input_grad
        x, code, basis, cells = ctx.saved_tensors
        gathered = None
        if need_token:
            gathered = ctx.gather.gradient(x.dtype)
        elif need_cells:
            gathered = CellGradient(cells.flatten(1), x.dtype)
        with no_autocast(x.device.type):
            dx, dcode, dbasis = _Gradients(grad.to(x.dtype), x, code, basis, cells, ctx.geometry).make(
                need_x, need_code, need_basis, gathered
            )
        dcells = gathered.total().view(cells.shape) if need_cells and gathered is not None else None
        return (dx, dcode, dbasis, dcells, *[None] * (2 + len(ctx.geometry)))


class _Gradients:
    """The gradients of a layer, from that of its output."""

    def __init__(self, grad: Tensor, x: Tensor, code: Tensor, basis: Tensor, cells: Tensor, geometry: Geometry) -> None:
        self.grad, self.x, self.geometry, self.cell = grad, x, geometry, cells.shape[1:]
        self.code, self.basis, self.cells = code, basis, cells

    def make(
        self, need_x: bool, need_code: bool, need_basis: bool, gathered: Optional[CellGradient]
    ) -> tuple[Optional[Tensor], Optional[Tensor], Optional[Tensor]]:
        """Gradients of x, code and basis, where needed; ``gathered`` gets what makes that of the cells."""
        rows, flat = self.basis.flatten(0, 1).to(self.x.dtype), self.cells.flatten(1).to(self.x.dtype)
        mixed = mix_basis(self.basis, self.cells, self.x.dtype) if need_x or need_code else None
        dxs: list[Tensor] = []
        dcodes: list[Tensor] = []

        def fill(dmixed_basis: Optional[Tensor]) -> None:
            for part in parts(self.x, self.geometry.kernel):
                if need_x:
                    dxs.append(self._of_input(part, mixed))
                if need_code or dmixed_basis is not None:
                    self._of_kernels(part, mixed if need_code else None, dmixed_basis, dcodes)

        dmixed_basis = None
        if gathered is not None:
            expected = self.basis.shape[1] * max(self.code.shape[1], len(self.cells))
            dmixed_basis = gathered.add(rows, expected, fill)
        else:
            dmixed_basis = flat.new_empty(len(rows), flat.shape[1]) if need_basis else None
            fill(dmixed_basis)
        dbasis = product(dmixed_basis, flat).view(self.basis.shape).to(self.basis.dtype) if need_basis else None
        return (
            joined(dxs) if need_x else None,
            joined(dcodes).to(self.code.dtype) if need_code else None,
            dbasis,
        )

    def _of_input(self, part: slice, mixed: Tensor) -> Tensor:
        weight = mixed_kernels(self.code[part].to(self.x.dtype), mixed, self.cell, self.geometry.kernel)
        return input_gradient(self.grad[part], self.x[part], weight, self.geometry)

    def _of_kernels(
        self, part: slice, mixed: Optional[Tensor], dmixed_basis: Optional[Tensor], dcodes: list[Tensor]
    ) -> None:
        """The gradient of some samples' kernels, and what follows of it for the code and the mixed basis."""
        code = self.code[part].to(self.x.dtype)
        length = self.cells[0].numel()
        dmixed = self.x.new_empty(code.shape[1], len(code), length)
        out = as_kernel(dmixed.transpose(0, 1), self.cell, self.geometry.kernel)
        kernel_gradient(out, self.grad[part], self.x[part], self.geometry)
        if mixed is not None:
            dcode = code.new_empty(code.shape)
            stacked_product(dmixed, mixed, dcode.transpose(0, 1))
            dcodes.append(dcode)
        if dmixed_basis is not None:
            target = dmixed_basis.view(*self.basis.shape[:2], length)
            stacked_product(code.permute(1, 2, 0), dmixed.transpose(1, 2), target, add=part.start > 0)
