"""Warm start: a KernelWarehouse network that begins as a plain one (sections 3.2 and 3.3)."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mmkw.layers import KWAttention, KWConvNd, Warehouses
from mmkw.ops import cut_kernel

from .files import check_keys


def warm_start(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, float]:
    """Fill a converted network from the plain network that it was converted from.

    Each mixture's start cell becomes the block of the plain kernel that the mixture stands for, so that at
    tau = 1 and b >= 1 the network computes what the plain one does. For b < 1 there are fewer cells than blocks: those
    mixtures that start at a cell are exact, the others, which start at the zero cell, are lost. No choice of cells is
    nearer to the plain kernels at tau = 1, in the least squares sense, as no two mixtures start at the same cell.
    Cells that no mixture starts at, and the attentions, stay as they are. So does the temperature.

    Args:
        model: A network with KW layers, such as :func:`mmkw.convert` returns.
        state: State dict of the plain network, with the plain network's names. Values that differ from the model's by
            axes of length 1 alone fit (a Linear layer and a 1x1 convolution), and a batch norm's count may be missing.

    Returns:
        Warehouse parameter (``warehouses.stage0``) -> relative error of the kernels that mix from it, at tau = 1: the
        Frobenius norm of what is lost over that of all. 0 for b >= 1.

    Raises:
        ValueError: If keys are missing, not expected or of another shape, or a layer's mixtures do not start at
            single cells. The model is then unchanged.
    """
    fitted = fit_plain(model, state)
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, KWConvNd)}
    assignments = {name: torch.tensor(layer.start_assignment()) for name, layer in layers.items()}
    of_model = {id(p): name for name, p in model.named_parameters()}
    warehouses = {name: of_model[id(layer.cells)] for name, layer in layers.items()}
    lost = dict.fromkeys(warehouses.values(), 0.0)
    whole = dict(lost)
    with torch.no_grad():
        for key, value in _plain_values(model).items():
            if key in fitted:
                value.copy_(fitted[key])
        for name, layer in layers.items():
            blocks = cut_kernel(fitted[f'{name}.weight'], layer.cells.shape[1:]).to(layer.cells.device)
            cells = assignments[name].to(layer.cells.device)
            has_cell = cells >= 0
            layer.cells[cells[has_cell]] = blocks[has_cell].to(layer.cells.dtype)
            squares = blocks.double().flatten(1).square().sum(1)
            lost[warehouses[name]] += squares[~has_cell].sum().item()
            whole[warehouses[name]] += squares.sum().item()
    return {name: math.sqrt(lost[name] / whole[name]) if whole[name] else 0.0 for name in whole}


def _plain_values(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers that the plain network has too, under the same name."""
    added = [f'{name}.' for name, m in model.named_modules() if isinstance(m, (KWAttention, Warehouses))]
    state = model.state_dict(keep_vars=True)
    return {key: value for key, value in state.items() if not key.startswith(tuple(added))}


def fit_plain(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The plain state with the shapes of the model; see :func:`warm_start`, which raises what this does."""
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, KWConvNd)}
    if not layers:
        raise ValueError(f'{type(model).__name__} has no KernelWarehouse layer to start warm')
    expected = _plain_values(model)
    expected.update(
        (f'{name}.weight', torch.empty(layer.kernel_shape, device='meta')) for name, layer in layers.items()
    )
    expected = {key: v for key, v in expected.items() if key in state or not key.endswith('num_batches_tracked')}
    fitted = dict(state)
    for key, value in expected.items():
        if key in state and _without_ones(state[key].shape) == _without_ones(value.shape):
            fitted[key] = state[key].reshape(value.shape)
    check_keys(fitted, expected, 'keys of the plain checkpoint do not fit the model')
    return fitted


def _without_ones(shape: Sequence[int]) -> list[int]:
    return [size for size in shape if size != 1]
