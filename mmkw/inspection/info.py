"""Parameters, multiply-adds and banks of a network: what ``tools/model_info.py`` prints."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from mmkw.layers import DynamicLayer, Pictures, SharedState, dynamic_layers, known_pictures, parameter_names

_PLAIN = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


@dataclass
class BankInfo:
    """What kernels are mixed from, such as a warehouse: the parameter's name and shape, and who shares it.

    ``budget`` is the number of pieces per mixture, in KernelWarehouse the budget b.
    """

    name: str
    shape: tuple[int, ...]
    budget: float
    layers: list[str] = field(default_factory=list)
    mixtures: int = 0


@dataclass
class ModelInfo:
    """Parameters, and multiply-adds of one sample, by what they are spent on.

    ``inference_memory`` is the number of bytes that the layers keep in inference beside their parameters.
    """

    parameters: int
    banks: list[BankInfo]
    inference_memory: int = 0
    convolution: int = 0
    attention: int = 0
    assembly: int = 0


def model_info(model: nn.Module, forward: Callable[[Tensor], Any], x: Tensor) -> ModelInfo:
    """Count a network's parameters and the multiply-adds of a forward pass.

    Args:
        model: The network, in evaluation mode; its parameters are counted.
        forward: The pass to count, ``model`` itself or a part of it.
        x: Input of a single sample, ``(1, ...)``, without padding. The meta device does.

    Returns:
        Counts; convolutions include linear layers, and neither norms, activations nor pooling count.
    """
    memory = sum(layer.inference_memory for layer in dynamic_layers(model).values())
    info = ModelInfo(sum(p.numel() for p in model.parameters()), bank_table(model), memory)
    dynamic = [module for module in model.modules() if isinstance(module, (DynamicLayer, SharedState))]
    inside = {id(module) for part in dynamic for module in part.modules()}

    def count_plain(layer: nn.Module, _inputs: Any, out: Tensor) -> None:
        # Each output value is a product with one row of the weight.
        products = out.numel() * layer.weight[0].numel()
        if id(layer) in inside:
            info.attention += products
        else:
            info.convolution += products

    def count_dynamic(layer: DynamicLayer, _inputs: Any, out: Tensor) -> None:
        info.convolution += layer.plain_macs(out)
        info.assembly += layer.assembly_macs(out)

    hooks = []
    for module in model.modules():
        if isinstance(module, DynamicLayer):
            hooks.append(module.register_forward_hook(count_dynamic))
        elif isinstance(module, _PLAIN):
            hooks.append(module.register_forward_hook(count_plain))
    try:
        with torch.no_grad(), known_pictures(model, Pictures.filling(x)):
            forward(x)
    finally:
        for hook in hooks:
            hook.remove()
    return info


def counted_pass(model: nn.Module) -> tuple[Callable[[Tensor], Any], str]:
    """The pass of an OpenMMLab model that is counted, and a word for what it is of.

    A classifier's is the whole network. What follows a detector's neck depends on what is found in the image, so its is
    that of backbone and neck.
    """
    if hasattr(model, 'head'):
        return lambda x: model.head(model.extract_feat(x)), 'network'
    return model.extract_feat, 'backbone and neck'


def bank_table(model: nn.Module) -> list[BankInfo]:
    """The banks of a network in order of first use, with the layers that share each."""
    names = parameter_names(model)
    table: dict[int, BankInfo] = {}
    for name, layer in dynamic_layers(model).items():
        if layer.bank is not None:
            key = id(layer.bank)
            row = table.setdefault(key, BankInfo(names[key], tuple(layer.bank.shape), layer.budget))
            row.layers.append(name)
            row.mixtures += layer.mixtures
    return list(table.values())
