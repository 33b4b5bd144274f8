"""The attention functions, from logits to the weights of the mix (section 3.3)."""

from typing import Union

from torch import Tensor


def contrasting_attention(logits: Tensor, temperature: Union[Tensor, float], start: Tensor) -> Tensor:
    """Contrasting-driven attention function, CAF (equation 3): signed weights of the mix.

    Args:
        logits: ``(B, m, n + 1)``; the last column belongs to a zero cell that exists only here.
        temperature: tau in [0, 1], a number or a 0-dim tensor.
        start: ``(m, n)``, one-hot rows (or all zero where a mixture starts at the zero cell), beta.

    Returns:
        alpha of shape ``(B, m, n)``.
    """
    scale = logits.abs().sum(-1, keepdim=True) + 1e-3
    return (1 - temperature) * (logits[..., :-1] / scale) + temperature * start
