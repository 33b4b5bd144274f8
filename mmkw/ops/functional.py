"""The three steps of a KernelWarehouse convolution, as plain functions of tensors (sections 3.2 and 3.3)."""

import math
from collections.abc import Sequence
from typing import Optional, Union

import torch.nn.functional as F
from torch import Tensor

from .ablation import ATTENTION_FUNCTIONS

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def contrasting_attention(
    logits: Tensor, temperature: Union[Tensor, float], start: Tensor, function: str = 'caf'
) -> Tensor:
    """Attention weights of the mix (equation 3): ``(1 - tau) * f(z) + tau * beta``, without the zero cell's column.

    Args:
        logits: z, ``(B, m, n + 1)``; the last column belongs to a zero cell that exists only here.
        temperature: tau in [0, 1], a number or a 0-dim tensor.
        start: beta, ``(m, n)``, one-hot rows (or all zero where a mixture starts at the zero cell).
        function: f. ``'caf'``, the contrasting-driven attention function ``z_j / (sum_p |z_p| + 1e-3)`` with its signed
            weights, or of earlier dynamic convolutions ``'softmax'`` or ``'sigmoid'``. Default: ``'caf'``.

    Returns:
        alpha of shape ``(B, m, n)``.
    """
    return (1 - temperature) * ATTENTION_FUNCTIONS[function](logits)[..., :-1] + temperature * start


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
    out = _CONV[x.dim() - 2](
        x.reshape(1, -1, *x.shape[2:]),
        weight.flatten(0, 1),
        None if bias is None else bias.repeat(batch),
        stride,
        padding,
        dilation,
        batch * groups,
    )
    return out.view(batch, -1, *out.shape[2:])
