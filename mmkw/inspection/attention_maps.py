"""Computes the mean attention over images, which the paper's figures of attentions show."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Optional

import torch
from torch import Tensor, nn

from mmkw.layers import DynamicLayer, dynamic_layers, parameter_names


@dataclass
class AttentionMap:
    """Attention to the pieces of one bank, such as the cells of a warehouse.

    Rows are the mixtures of the layers that share the bank, one layer after the other in network order.

    Args:
        bank: Name of the bank's parameter, as in ``named_parameters()``; the layer's name if the layer has no bank.
        layers: Layer name -> number of its mixtures.
        mean: Mean over samples of the weights that the layers mix with, at the model's temperature,
            ``(mixtures, columns)``. There is a column for each piece of the bank and, in KernelWarehouse, a last one
            for the zero cell.
        start: The weights at the start of the temperature's schedule, of the same shape, if they do not depend on the
            input there; else None.
    """

    bank: str
    layers: dict[str, int]
    mean: Tensor
    start: Optional[Tensor]


def attention_maps(model: nn.Module, forward: Callable[[Any], Any], inputs: Iterable[Any]) -> list[AttentionMap]:
    """Collect the mean attention of every dynamic layer.

    Args:
        model: A network with dynamic layers, in evaluation mode.
        forward: The pass to watch, ``model`` itself or one of its methods.
        inputs: Inputs of the pass, one per call. Every sample counts the same, however large its batch is.

    Returns:
        One map for each bank that the passes used, in order of first use in the network.

    Raises:
        ValueError: If the model has no dynamic layer, or the passes used none.
    """
    layers = dynamic_layers(model)
    if not layers:
        raise ValueError(f'{type(model).__name__} has no dynamic layer whose attention could be shown')
    sums: dict[str, Tensor] = {}
    samples: dict[str, int] = {}

    def watch(name: str) -> Callable:
        def add(layer: DynamicLayer, inputs: tuple[Tensor]) -> None:
            weights = layer.attention_map(layer.prepare(inputs[0])).double()
            sums[name] = sums.get(name, 0) + weights.sum(0)
            samples[name] = samples.get(name, 0) + len(weights)

        return add

    hooks = [layer.register_forward_pre_hook(watch(name)) for name, layer in layers.items()]
    try:
        with torch.no_grad():
            for item in inputs:
                forward(item)
    finally:
        for hook in hooks:
            hook.remove()
    if not sums:
        raise ValueError('no dynamic layer was used: give at least one input, and a pass that goes through one')

    names = parameter_names(model)
    groups: dict[str, list[str]] = {}
    for name, layer in layers.items():
        if name in sums:
            groups.setdefault(names.get(id(layer.bank), name), []).append(name)
    return [_map_of(bank, {name: layers[name] for name in members}, sums, samples) for bank, members in groups.items()]


def _map_of(
    bank: str, layers: dict[str, DynamicLayer], sums: dict[str, Tensor], samples: dict[str, int]
) -> AttentionMap:
    starts = [layer.start_map() for layer in layers.values()]
    return AttentionMap(
        bank,
        {name: layer.mixtures for name, layer in layers.items()},
        torch.cat([sums[name] / samples[name] for name in layers]),
        None if any(start is None for start in starts) else torch.cat(starts),
    )
