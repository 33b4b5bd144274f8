"""The attention of a layer as one node: ``fc1 -> norm -> ReLU -> fc2 -> CAF`` (section 3.3), forward and backward.

As modules it is some 40 small operations per layer, which for small networks and batches take longer than mixing does.
Formulas, for a pooled input p:

    h = relu(norm(p W1' + b1)),  z = h F' + f,  s[i] = sum_p |z[i, p]| + 1e-3,  r = (1 - tau) / s
    alpha = r z + tau beta  (without the zero cell)       or, for a basis,  code = [r h, r, tau]

and backward ``ds = -(r / s) <dr, .>``, which returns to z through sign(z).
"""

from typing import Any, NamedTuple, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class Norm(NamedTuple):
    """A BatchNorm1d or a LayerNorm as numbers: of a batch norm ``running`` has mean and variance, of a layer norm none.

    ``momentum`` is the factor of the new value in them; with ``by_batch`` the statistics are those of the batch.
    """

    running: Optional[tuple[Optional[Tensor], Optional[Tensor]]]
    by_batch: bool
    momentum: float
    eps: float

    @classmethod
    def of(cls, norm: nn.Module) -> 'Norm':
        """What a norm is to do now; a batch norm in training has counted the batch afterwards, as torch's does."""
        if isinstance(norm, nn.LayerNorm):
            return cls(None, True, 0.0, norm.eps)
        running = (norm.running_mean, norm.running_var)
        factor = 0.0 if norm.momentum is None else norm.momentum
        if norm.training and norm.num_batches_tracked is not None:
            norm.num_batches_tracked.add_(1)
            if norm.momentum is None:  # a cumulative average
                factor = 1.0 / float(norm.num_batches_tracked)
        by_batch = norm.training or running[0] is None
        return cls(running if not by_batch or norm.training else (None, None), by_batch, factor, norm.eps)

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The normalized input, and the two statistics that the backward pass needs."""
        if self.running is None:
            return torch.ops.aten.native_layer_norm(x, x.shape[1:], weight, bias, self.eps)
        return torch.ops.aten.native_batch_norm(x, weight, bias, *self.running, self.by_batch, self.momentum, self.eps)

    def backward(
        self, grad: Tensor, x: Tensor, weight: Tensor, bias: Tensor, statistics: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of the input, the weight and the bias."""
        mask = [True] * 3
        if self.running is None:
            mean, scale, *_ = statistics
            return torch.ops.aten.native_layer_norm_backward(grad, x, x.shape[1:], mean, scale, weight, bias, mask)
        mean, scale, *running = statistics
        return torch.ops.aten.native_batch_norm_backward(
            grad, x, weight, *(running or (None, None)), mean, scale, self.by_batch, self.eps, mask
        )


def attention_weights(
    pooled: Tensor,
    fc1: tuple[Tensor, Optional[Tensor]],
    norm: tuple[Norm, Tensor, Tensor],
    fc2: tuple[Tensor, Tensor],
    temperature: Optional[Tensor],
    beta: Tensor,
    as_code: bool,
) -> Tensor:
    """Weights of the mix, or the code of a basis, for a pooled input; once differentiable.

    Args:
        pooled: ``(B, C)``.
        fc1: Weight ``(K, C)`` and bias ``(K)`` or None.
        norm: The norm, its weight and its bias.
        fc2: Weight ``(m (n + 1), K)`` and bias ``(m (n + 1))``.
        temperature: tau, a 0-dim tensor; None is a layer that is at 0 whatever the temperature is.
        beta: ``(m, n)``.
        as_code: Whether to return the code.

    Returns:
        alpha ``(B, m, n)``, or the code ``(B, m, K + 2)`` for the rows of :func:`attention_basis` (without a
        temperature ``(B, m, K + 1)``).
    """
    return _Attention.apply(pooled, *fc1, *norm[1:], *fc2, norm[0], temperature, beta, as_code)


def attention_basis(weight: Tensor, bias: Tensor, beta: Tensor, has_temperature: bool) -> Tensor:
    """The basis ``(m, K', n)`` of an attention: for each hidden value the second layer's weight, its bias, and beta.

    Args:
        weight, bias: fc2, ``(m (n + 1), K)`` and ``(m (n + 1))``.
        beta: ``(m, n)``.
        has_temperature: Whether beta is one of the rows.
    """
    m, n = beta.shape
    rows = [weight.view(m, n + 1, -1)[:, :n].transpose(1, 2), bias.view(m, 1, n + 1)[..., :n]]
    return torch.cat([*rows, beta.unsqueeze(1).to(weight.dtype)] if has_temperature else rows, 1)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        pooled: Tensor,
        weight1: Tensor,
        bias1: Optional[Tensor],
        gain: Tensor,
        shift: Tensor,
        weight2: Tensor,
        bias2: Tensor,
        norm: Norm,
        temperature: Optional[Tensor],
        beta: Tensor,
        as_code: bool,
    ) -> Tensor:
        m, n = beta.shape
        before = F.linear(pooled, weight1, bias1)
        hidden, *statistics = norm.forward(before, gain, shift)
        hidden.relu_()
        z = F.linear(hidden, weight2, bias2).view(-1, m, n + 1)
        s = torch.linalg.vector_norm(z, 1, -1, keepdim=True).add_(1e-3)
        r = s.reciprocal() if temperature is None else (1 - temperature) / s
        if not norm.by_batch:
            statistics += norm.running or ()
        ctx.norm, ctx.as_code = norm, as_code
        ctx.save_for_backward(pooled, weight1, before, gain, shift, hidden, weight2, z, s, r, *statistics)
        if not as_code:
            alpha = z[..., :n] * r
            return alpha if temperature is None else alpha.addcmul_(temperature, beta)
        K = hidden.shape[1]
        code = z.new_empty(len(z), m, K + (1 if temperature is None else 2))
        torch.mul(hidden.unsqueeze(1), r, out=code[..., :K])
        code[..., K : K + 1] = r
        if temperature is not None:
            code[..., K + 1] = temperature
        return code

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple:
        pooled, weight1, before, gain, shift, hidden, weight2, z, s, r, *statistics = ctx.saved_tensors
        dz = z.sign()
        if ctx.as_code:
            K = hidden.shape[1]
            of_rows = grad[..., :K]
            dr = torch.matmul(of_rows, hidden.unsqueeze(-1)) + grad[..., K : K + 1]
            dhidden = torch.matmul(r.transpose(1, 2), of_rows).squeeze(1)
            dz *= dr * r / -s
        else:
            dhidden = None
            of_cells = z[..., :-1]
            dz *= (grad * of_cells).sum(-1, keepdim=True) * r / -s
            dz[..., :-1].addcmul_(grad, r)
        dz = dz.flatten(1)
        dhidden = dz @ weight2 if dhidden is None else dhidden.addmm_(dz, weight2)
        dnormed = torch.ops.aten.threshold_backward(dhidden, hidden, 0)
        dbefore, dgain, dshift = ctx.norm.backward(dnormed, before, gain, shift, tuple(statistics))
        dbias1 = dbefore.sum(0) if ctx.needs_input_grad[2] else None
        dpooled = dbefore @ weight1 if ctx.needs_input_grad[0] else None
        return (
            *(dpooled, dbefore.t() @ pooled, dbias1, dgain, dshift, dz.t() @ hidden, dz.sum(0)),
            *(None, None, None, None),
        )
