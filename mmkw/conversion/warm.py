"""Warm start: a dynamic network that begins as the plain one that it was made of (sections 3.2 and 3.3)."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mmkw.layers import DynamicConvNd, SharedState, dynamic_layers, parameter_names

from .keys import check_keys


def warm_start(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, float]:
    """Fill a converted network from the plain network that it was converted from.

    In KernelWarehouse each mixture's start cell becomes the block of the plain kernel that the mixture stands for, so
    that at tau = 1 and b >= 1 the network computes what the plain one does. For b < 1 there are fewer cells than
    blocks: those mixtures that start at a cell are exact, the others, which start at the zero cell, are lost. No choice
    of cells is nearer to the plain kernels at tau = 1, in the least squares sense, as no two mixtures start at the same
    cell. Cells that no mixture starts at, and the attentions, stay as they are. So does the temperature.

    Args:
        model: A network with dynamic layers, such as :func:`mmkw.convert` returns.
        state: State dict of the plain network, with the plain network's names. Values that differ from the model's by
            axes of length 1 alone fit (a Linear layer and a 1x1 convolution), and a batch norm's count may be missing.

    Returns:
        Name of the parameter that kernels are mixed from (``warehouses.stage0``), or of the kernel in a method that
        mixes none -> relative error of these kernels at the start of the temperature's schedule: the Frobenius norm of
        what is lost over that of all. For KernelWarehouse 0 where b >= 1.

    Raises:
        ValueError: If keys are missing, not expected or of another shape, or a layer has no start that computes what
            a plain one does (a gate, CondConv, or a KernelWarehouse layer whose mixtures do not start at single
            cells). The model is then unchanged.
    """
    fitted = fit_plain(model, state)
    name_of = parameter_names(model)
    lost: dict[str, float] = {}
    whole: dict[str, float] = {}
    layers = dynamic_layers(model)
    with torch.no_grad():
        for key, value in _plain_values(model).items():
            if key in fitted:
                value.copy_(fitted[key])
    for name, layer in layers.items():
        bank = name_of.get(id(layer.bank), f'{name}.weight')
        weight = fitted[f'{name}.weight']
        part, total = layer.start_from(
            weight.reshape(layer.kernel_shape) if isinstance(layer, DynamicConvNd) else weight
        )
        lost[bank], whole[bank] = lost.get(bank, 0.0) + part, whole.get(bank, 0.0) + total
    return {name: math.sqrt(lost[name] / whole[name]) if whole[name] else 0.0 for name in whole}


def _plain_values(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers that the plain network has too, under the same name."""
    layers = dynamic_layers(model)
    shared = [name for name, module in model.named_modules() if isinstance(module, SharedState)]
    others = tuple(f'{name}.' for name in (*layers, *shared))
    state = {k: value for k, value in model.state_dict(keep_vars=True).items() if not k.startswith(others)}
    for name, layer in layers.items():
        state.update((f'{name}.{key}', value) for key, value in layer.plain_values().items())
    return state


def fit_plain(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The plain state with the shapes of the model; see :func:`warm_start`, which raises what this does."""
    layers = dynamic_layers(model)
    if not layers:
        raise ValueError(f'{type(model).__name__} has no dynamic layer to start warm')
    for name, layer in layers.items():
        try:
            layer.check_start()
        except ValueError as error:
            raise ValueError(f'{name!r} cannot start as a plain layer: {error}') from error
    expected = _plain_values(model)
    for name, layer in layers.items():
        expected.update((f'{name}.{key}', value) for key, value in layer.plain_layer().state_dict().items())
    expected = {key: v for key, v in expected.items() if key in state or not key.endswith('num_batches_tracked')}
    fitted = dict(state)
    for key, value in expected.items():
        if key in state and _without_ones(state[key].shape) == _without_ones(value.shape):
            fitted[key] = state[key].reshape(value.shape)
    check_keys(fitted, expected, 'keys of the plain checkpoint do not fit the model')
    return fitted


def _without_ones(shape: Sequence[int]) -> list[int]:
    return [size for size in shape if size != 1]
