"""Mean attention of every warehouse over images: the statistics behind the paper's figures of attentions."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mmkw.layers import KWConvNd
from mmkw.ops import ATTENTION_FUNCTIONS


@dataclass
class AttentionMap:
    """Attention of one warehouse. Rows are the mixtures of its layers, one layer after the other in network order.

    Args:
        warehouse: Name of the warehouse's parameter, as in ``named_parameters()``.
        layers: Layer name -> number of its mixtures.
        mean: Mean of alpha over samples, at the model's temperature, ``(mixtures, n + 1)``; the zero cell is last.
        start: beta, what each mixture is at temperature 1, ``(mixtures, n + 1)``; the zero cell is last.
    """

    warehouse: str
    layers: dict[str, int]
    mean: Tensor
    start: Tensor


def attention_maps(model: nn.Module, forward: Callable[[Any], Any], inputs: Iterable[Any]) -> list[AttentionMap]:
    """Collect the mean attention of every warehouse.

    Args:
        model: A network with KernelWarehouse layers, in evaluation mode.
        forward: The pass to watch, ``model`` itself or one of its methods.
        inputs: What to pass to it, one call an item. Every sample counts the same, whatever its batch.

    Returns:
        One map a warehouse that the passes used, in order of first use in the network.

    Raises:
        ValueError: If the model has no KW layer, or the passes used none.
    """
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, KWConvNd)}
    if not layers:
        raise ValueError(f'{type(model).__name__} has no KernelWarehouse layer whose attention could be shown')
    sums: dict[str, Tensor] = {}
    samples: dict[str, int] = {}

    def watch(name: str, layer: KWConvNd) -> Any:
        def add(_attention: nn.Module, _inputs: Any, logits: Tensor) -> None:
            alpha = _with_zero_cell(layer, logits.double())
            sums[name] = sums.get(name, 0) + alpha.sum(0)
            samples[name] = samples.get(name, 0) + len(alpha)

        return layer.attention.register_forward_hook(add)

    hooks = [watch(name, layer) for name, layer in layers.items()]
    try:
        with torch.no_grad():
            for item in inputs:
                forward(item)
    finally:
        for hook in hooks:
            hook.remove()
    if not sums:
        raise ValueError('no KernelWarehouse layer was used: give at least one input, and a pass that goes through one')

    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups: dict[str, list[str]] = {}
    for name, layer in layers.items():
        if name in sums:
            groups.setdefault(names[id(layer.cells)], []).append(name)
    return [
        AttentionMap(
            warehouse,
            {name: len(layers[name].start) for name in members},
            torch.cat([sums[name] / samples[name] for name in members]),
            torch.cat([_start_with_zero_cell(layers[name]) for name in members]),
        )
        for warehouse, members in groups.items()
    ]


def _with_zero_cell(layer: KWConvNd, logits: Tensor) -> Tensor:
    """alpha with the column that the layer drops, ``(B, m, n + 1)``."""
    weights = ATTENTION_FUNCTIONS[layer.attention_function](logits)
    if not layer.share_cells:
        own = torch.stack([torch.block_diag(*sample) for sample in weights[..., :-1]])
        weights = torch.cat((own, weights[..., -1:]), -1)
    if layer.start_strategy == 'none':
        return weights
    tau = layer.warehouses.temperature.double()
    return (1 - tau) * weights + tau * _start_with_zero_cell(layer)


def _start_with_zero_cell(layer: KWConvNd) -> Tensor:
    start = layer.start.double()
    at_zero_cell = ~start.any(-1, keepdim=True) if layer.start_strategy != 'none' else torch.zeros_like(start[:, :1])
    return torch.cat((start, at_zero_cell), -1)
