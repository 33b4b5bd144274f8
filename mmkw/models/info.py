"""Parameters, multiply-adds and warehouses of a network: what ``tools/model_info.py`` prints."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from mmkw.layers import KWAttention, KWConvNd

_PLAIN = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


@dataclass
class WarehouseInfo:
    """One warehouse: its parameter's name and shape, its budget b, and the layers that share it."""

    name: str
    cells: tuple[int, ...]
    budget: float
    layers: list[str] = field(default_factory=list)
    mixtures: int = 0


@dataclass
class ModelInfo:
    """Parameters, and multiply-adds of one sample, by what they are spent on."""

    parameters: int
    warehouses: list[WarehouseInfo]
    convolution: int = 0
    attention: int = 0
    assembly: int = 0


def model_info(model: nn.Module, forward: Callable[[Tensor], Any], x: Tensor) -> ModelInfo:
    """Count a network's parameters and the multiply-adds of a forward pass.

    Args:
        model: The network, in evaluation mode; its parameters are counted.
        forward: The pass to count, ``model`` itself or a part of it.
        x: Input of a single sample, ``(1, ...)``. The meta device does.

    Returns:
        Counts; convolutions include linear layers, and neither norms, activations nor pooling count.
    """
    info = ModelInfo(sum(p.numel() for p in model.parameters()), warehouse_table(model))
    of_attention = {id(m) for a in model.modules() if isinstance(a, KWAttention) for m in a.modules()}

    def count_plain(layer: nn.Module, _inputs: Any, out: Tensor) -> None:
        # Each output value is a product with one row of the weight.
        products = out.numel() * layer.weight[0].numel()
        if id(layer) in of_attention:
            info.attention += products
        else:
            info.convolution += products

    def count_kw(layer: KWConvNd, _inputs: Any, out: Tensor) -> None:
        info.convolution += out.numel() * torch.Size(layer.kernel_shape[1:]).numel()
        info.assembly += len(layer.start) * layer.cells.numel()

    hooks = []
    for module in model.modules():
        if isinstance(module, KWConvNd):
            hooks.append(module.register_forward_hook(count_kw))
        elif isinstance(module, _PLAIN):
            hooks.append(module.register_forward_hook(count_plain))
    try:
        with torch.no_grad():
            forward(x)
    finally:
        for hook in hooks:
            hook.remove()
    return info


def warehouse_table(model: nn.Module) -> list[WarehouseInfo]:
    """The warehouses of a network in order of first use, with the layers that share each."""
    names = {id(p): name for name, p in model.named_parameters()}
    table: dict[int, WarehouseInfo] = {}
    for name, layer in model.named_modules():
        if isinstance(layer, KWConvNd):
            key = id(layer.cells)
            budget = layer.warehouses.budgets[layer.warehouse_name]
            row = table.setdefault(key, WarehouseInfo(names[key], tuple(layer.cells.shape), budget))
            row.layers.append(name)
            row.mixtures += len(layer.start)
    return list(table.values())
