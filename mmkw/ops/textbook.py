"""Assembling and convolving by their formulas (section 3.2), one torch call a step: to read and to compare with.

The layers compute the same with :func:`mmkw.ops.mixture_conv`.
"""

import math
from collections.abc import Sequence
from typing import Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def weights_of_mix(code: Tensor, basis: Tensor) -> Tensor:
    """Weights of the mix that a code gives the rows of a basis: ``alpha[s,i,j] = sum_k code[s,i,k] * basis[i,k,j]``.

    Args:
        code: ``(B, m, K)``.
        basis: ``(m, K, n)``.

    Returns:
        ``(B, m, n)``.
    """
    return torch.matmul(code.transpose(0, 1), basis).transpose(0, 1)


def assemble_kernel(alpha: Tensor, cells: Tensor, kernel: Sequence[int]) -> Tensor:
    """Mix cells into one kernel a sample: ``W[o*co+a, i*ci+c, s] = sum_j alpha[s,o,i,j] * E[j,a,c]``.

    Args:
        alpha: ``(B, m, n)``, mixtures ordered by window position (row by row), then output, then input block.
        cells: Warehouse E, ``(n, co, ci, *cell_window)``.
        kernel: Weight shape of the layer, ``(O, I / groups, *window)``.

    Returns:
        ``(B, O, I / groups, *window)``.
    """
    batch, n = alpha.shape[0], cells.shape[0]
    co, ci = cells.shape[1:3]
    cell_window = math.prod(cells.shape[3:])
    blocks_out, blocks_in = kernel[0] // co, kernel[1] // ci
    mixed = alpha.reshape(-1, n) @ cells.reshape(n, -1)
    # A cell's window is either 1 or the whole window, so (position, cell window) flattens to the window.
    mixed = mixed.view(batch, -1, blocks_out, blocks_in, co, ci, cell_window)
    return mixed.permute(0, 2, 4, 3, 5, 1, 6).reshape(batch, *kernel)


def dynamic_conv(
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor] = None,
    stride: Union[int, Sequence[int]] = 1,
    padding: Union[int, str, Sequence[int]] = 0,
    dilation: Union[int, Sequence[int]] = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve sample b with its own kernel ``weight[b]``, as one convolution of ``B * groups`` groups.

    Args:
        x: ``(B, I, *size)``.
        weight: ``(B, O, I / groups, *window)``.
        bias: ``(O)``, shared by all samples.
        stride, padding, dilation, groups: As in ``torch.nn.functional.conv2d``.

    Returns:
        ``(B, O, *output size)``.
    """
    batch = x.shape[0]
    out = CONV[x.dim() - 2](
        x.reshape(1, -1, *x.shape[2:]),
        weight.flatten(0, 1),
        None if bias is None else bias.repeat(batch),
        stride,
        padding,
        dilation,
        batch * groups,
    )
    return out.view(batch, -1, *out.shape[2:])


def textbook_conv(
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
) -> Tensor:
    """What :func:`mmkw.ops.mixture_conv` computes, with the same arguments."""
    alpha = code if basis is None else weights_of_mix(code, basis)
    return dynamic_conv(x, assemble_kernel(alpha, cells, kernel), bias, stride, padding, dilation, groups)
