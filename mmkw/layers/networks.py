"""What is asked of, or done to, all dynamic layers of a network."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Union

import torch
from torch import nn

from mmkw.ops import dynamic_conv

from .base import Convolution, DynamicConvNd
from .dynamic import DynamicLayer, SharedState, TemperatureRange, dynamic_layers


def parameter_names(model: nn.Module) -> dict[int, str]:
    """id of each parameter -> its name, the first one where there are several."""
    return {id(parameter): name for name, parameter in model.named_parameters()}


def shared_banks(model: nn.Module) -> dict[str, list[str]]:
    """Parameter that several layers can mix their kernels from -> the layers that do, by name and in network order."""
    shared = {id(p) for m in model.modules() if isinstance(m, SharedState) for p in m.parameters()}
    names = parameter_names(model)
    banks: dict[str, list[str]] = {}
    for name, layer in dynamic_layers(model).items():
        if id(layer.bank) in shared:
            banks.setdefault(names[id(layer.bank)], []).append(name)
    return banks


@contextmanager
def by_definition(model: nn.Module, convolution: Convolution = dynamic_conv, ready: bool = False) -> Iterator[None]:
    """Let the dynamic layers of a network convolve with the kernels that they make, in a form of the caller's choice.

    Args:
        model: The network. Afterwards its layers compute in their own, fastest way again.
        convolution: Called as ``convolution(x, kernels, bias, stride, padding, dilation, groups)``. Default: the
            definition, :func:`mmkw.ops.dynamic_conv`.
        ready: Whether the kernels may be made from what the layers keep for inference. Default: False.
    """
    layers = [layer for layer in dynamic_layers(model).values() if isinstance(layer, DynamicConvNd)]
    before = [(layer.convolution, layer.convolution_is_ready) for layer in layers]
    for layer in layers:
        layer.convolution, layer.convolution_is_ready = convolution, ready
    try:
        yield
    finally:
        for layer, forms in zip(layers, before):
            layer.convolution, layer.convolution_is_ready = forms


def temperature_ranges(model: nn.Module) -> dict[str, tuple[DynamicLayer, TemperatureRange]]:
    """The dynamic layers of a network that have a temperature, by name, each with what its temperature can be."""
    layers = dynamic_layers(model).items()
    return {name: (layer, layer.temperature_range) for name, layer in layers if layer.temperature_range is not None}


def set_temperature(model: nn.Module, temperature: Union[float, Callable[[TemperatureRange], float]]) -> None:
    """Set the temperature of every dynamic layer in a model that has one.

    Args:
        model: Any module that holds such layers; layers elsewhere that share their temperature with these follow.
        temperature: A value for all layers, or a function that gives a layer's value for its range. KernelWarehouse's
            tau (section 3.3) lies between 1, where every mixture is its start cell, and 0, the plain attention; that of
            ODConv and DY-Conv divides the logits and is at least 1, the plain attention.

    Raises:
        ValueError: If a layer cannot have this temperature, or no layer has one. Nothing is changed then.
    """
    layers = temperature_ranges(model)
    if not layers:
        raise ValueError(f'{type(model).__name__} has no dynamic layer whose temperature could be set')
    values = [temperature(own) if callable(temperature) else temperature for _, own in layers.values()]
    for (name, (layer, own)), value in zip(layers.items(), values):
        if not own.allows(value):
            place = f' {name!r}' if name else ''
            raise ValueError(f'the temperature of the {type(layer).__name__}{place} must be {own}, got {value}')
    with torch.no_grad():
        for (layer, _), value in zip(layers.values(), values):
            if layer.temperature is not None:
                layer.temperature.fill_(value)
