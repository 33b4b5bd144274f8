"""How ``torch.utils.flop_counter`` counts mmkw's operators, which it cannot look into.

Counters that read a trace need no such thing, see :func:`mmkw.ops.mixture_conv`.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch

from . import mixture  # noqa: F401 - defines the operators

Shape = Sequence[int]


def _forward_flops(x: Shape, alpha: Shape, cells: Shape, kernel: Shape, *_: Any, out_shape: Sequence[Shape]) -> int:
    return 2 * (_mixing(alpha, cells) + _convolving(out_shape[0], kernel))


def _backward_flops(
    grad: Shape, x: Shape, alpha: Shape, cells: Shape, kernels: Shape, kernel: Shape, *others: Any, **_: Any
) -> int:
    need_x, need_alpha, need_cells = others[-1]
    mixing, convolving = _mixing(alpha, cells), _convolving(grad, kernel)
    mixed_again = need_x and len(kernels) == 1  # nothing was kept
    products = need_x * convolving + mixed_again * mixing
    products += (need_alpha or need_cells) * convolving + (need_alpha + need_cells) * mixing
    return 2 * products


def _mixing(alpha: Shape, cells: Shape) -> int:
    return math.prod(alpha) * math.prod(cells[1:])


def _convolving(out: Shape, kernel: Shape) -> int:
    return math.prod(out) * math.prod(kernel[1:])


try:
    from torch.utils.flop_counter import register_flop_formula
except ImportError:  # as in torch 2.1
    from torch.utils.flop_counter import flop_mapping

    flop_mapping[torch.ops.mmkw.mixture_conv] = _forward_flops
    flop_mapping[torch.ops.mmkw.mixture_conv_backward] = _backward_flops
else:
    register_flop_formula(torch.ops.mmkw.mixture_conv)(_forward_flops)
    register_flop_formula(torch.ops.mmkw.mixture_conv_backward)(_backward_flops)
