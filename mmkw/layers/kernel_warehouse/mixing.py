"""How a KernelWarehouse layer gets from its pooled input to its output: which factors it makes, and what it keeps."""

from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch
from torch import Tensor

from mmkw.layers.base import Size
from mmkw.ops import mixture_conv
from mmkw.ops._pooling import means
from mmkw.ops.association import mixes_basis_first, uses_kept_basis
from mmkw.ops.attention import attention_basis
from mmkw.ops.autocast import autocast_dtype
from mmkw.ops.factored import mix_basis

if TYPE_CHECKING:
    from .conv import KWConvNd


class Ready(NamedTuple):
    """What the weights of a layer alone decide.

    Args:
        mixed: The mixed basis, ``(m, K, c)``; its last row per mixture, of beta, is left out where tau is 0.
        second: The attention's second layer, composed, if it is in the basis form; else None.
    """

    mixed: Tensor
    second: Optional[tuple[Tensor, Tensor]]


def mix_and_convolve(layer: 'KWConvNd', x: Tensor, padding: Size, pooled: Tensor) -> Tensor:
    """Convolve a padded input ``(B, C, *size)``, each sample with the kernel that its means ``(B, C)`` decide."""
    code, others = _factors_of(layer, x, pooled)
    geometry = (layer.stride, padding, layer.dilation, layer.groups)
    return mixture_conv(x, code, layer.cells, layer.kernel_shape, layer.bias, *geometry, **others)


def _factors_of(layer: 'KWConvNd', x: Tensor, pooled: Tensor) -> tuple[Tensor, dict[str, Any]]:
    """The code, and what mixture_conv needs to know beside it: a basis, a mixed basis, or nothing."""
    attention, beta = layer.attention, layer.beta
    if not layer.has_factors or not attention.runs_as_one():
        return layer.alpha_of(attention(pooled)), {}
    temperature = None if layer.start_strategy == 'none' else layer.temperature
    dtype = autocast_dtype(x.device.type) or x.dtype
    ready = _ready(layer, len(x), dtype)
    if ready is not None:
        code = attention.weights(pooled, temperature, beta, ready.second, as_code=True)
        return code[..., : ready.mixed.shape[1]], dict(mixed=ready.mixed)
    if mixes_basis_first(layer.factors, len(x), dtype):
        second = attention.second_layer()
        code = attention.weights(pooled, temperature, beta, second, as_code=True)
        return code, dict(basis=attention_basis(*second, beta, temperature is not None))
    if attention.has_basis:  # composing its layers is more work than a few samples' logits
        return layer.alpha_of(attention(pooled)), {}
    return attention.weights(pooled, temperature, beta), {}


def _ready(layer: 'KWConvNd', batch: int, dtype: torch.dtype) -> Optional[Ready]:
    """What the layer keeps for inference; None where it keeps nothing or needs it for something else than inference."""
    if layer.training or torch.is_grad_enabled() or dtype == torch.float16:
        return None
    kept = layer.kept
    if kept is None or not uses_kept_basis(layer.factors, batch) or not layer.warehouses.keeps(kept.index):
        return None
    attention = layer.attention
    weights = [layer.cells, layer.temperature, layer.beta, *attention.fc2.parameters()]
    if attention.has_basis:
        weights += [attention.fc3.weight, attention.basis_bias]
    if any(weight.is_inference() for weight in weights):  # of which torch does not count changes
        return None

    def make() -> Ready:
        is_warm = layer.start_strategy != 'none' and bool(layer.temperature != 0)
        second = attention.second_layer()
        mixed = mix_basis(attention_basis(*second, layer.beta, is_warm), layer.cells, dtype)
        return Ready(mixed, second if attention.has_basis else None)

    return kept.get(weights, dtype, make)


def ready_kernels(layer: 'KWConvNd', x: Tensor) -> Tensor:
    """Kernels for a prepared input in torch's own operations, from what the layer keeps at this moment where it does.

    For graphs that have it as a constant: while they are made, weights are no more than names.
    """
    ready = None if layer.kept is None else layer.kept.now
    if ready is None:
        return layer.kernel(x)
    attention = layer.attention
    hidden = attention.hidden_vector(means(x, layer.extent))
    logits = attention.logits_of(hidden)
    s = logits.abs().sum(-1, keepdim=True) + 1e-3
    temperature = torch.zeros_like(layer.temperature) if layer.start_strategy == 'none' else layer.temperature
    scale = (1 - temperature) / s
    code = torch.cat((hidden.unsqueeze(1) * scale, scale, temperature.expand_as(scale)), -1)
    code = code[..., : ready.mixed.shape[1]]
    mixed = torch.matmul(code.transpose(0, 1), ready.mixed).transpose(0, 1)
    return layer.kernels_of(mixed)
