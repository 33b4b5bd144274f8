"""The attention functions, from logits to the weights of the mix (section 3.3)."""

import functools
from collections.abc import Callable
from typing import Union

import torch
from torch import Tensor


def _contrast(logits: Tensor) -> Tensor:
    return logits / (logits.abs().sum(-1, keepdim=True) + 1e-3)


# Of logits (B, m, n + 1), over the last axis; the zero cell's, which is the last, counts like any other.
ATTENTION_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    'caf': _contrast,
    'softmax': functools.partial(torch.softmax, dim=-1),
    'sigmoid': torch.sigmoid,
}


def contrasting_attention(
    logits: Tensor, temperature: Union[Tensor, float], beta: Tensor, function: str = 'caf'
) -> Tensor:
    """Attention weights of the mix (equation 3): ``(1 - tau) * f(z) + tau * beta``, without the zero cell's column.

    Args:
        logits: z, ``(B, m, n + 1)``; the last column belongs to a zero cell that exists only here.
        temperature: tau in [0, 1], a number or a 0-dim tensor.
        beta: ``(m, n)``, one-hot rows (or all zero where a mixture starts at the zero cell).
        function: f. ``'caf'``, the contrasting-driven attention function ``z_j / (sum_p |z_p| + 1e-3)`` with its signed
            weights, or of earlier dynamic convolutions ``'softmax'`` or ``'sigmoid'``. Default: ``'caf'``.

    Returns:
        alpha of shape ``(B, m, n)``.
    """
    return (1 - temperature) * ATTENTION_FUNCTIONS[function](logits)[..., :-1] + temperature * beta
