"""What a state dict has in warehouses, in words: for messages about weights that do not fit."""

from collections.abc import Mapping, Sized
from typing import Any, Optional

import torch
from torch import Tensor, nn

from mmkw.layers.dynamic import dynamic_layers

# Where the published files keep their warehouses.
PUBLISHED = 'warehouse_manager.weights.'


def warehouses_in_words(owner: nn.Module, state: Mapping[str, Any]) -> list[str]:
    """Number of layers (where the owner cannot name the network), budget and warehouses of a state dict.

    Args:
        owner: The module with ``warehouses`` that the state dict was to fill.
        state: A state dict under the owner's names, or a published one.
    """
    cells = {
        key.rpartition('.')[2]: value
        for key, value in state.items()
        if key.startswith(('warehouses.', PUBLISHED)) and not key.endswith('.temperature')
    }
    if not cells:
        return []
    attentions = {
        key.removesuffix('attention.fc1.weight').removesuffix('.'): fc1
        for key, fc1 in state.items()
        if key.endswith('attention.fc1.weight')
    }
    words = [] if getattr(owner, 'describe_state', lambda _: None)(state) else [_count(attentions, 'layer')]
    if None not in cells.values() and (weights := _weights(owner, state, cells, attentions)):
        words.append(f'budget b = {sum(cell.numel() for cell in cells.values()) / weights:.3g}')
    names = list(cells)
    return [*words, f'{_count(cells, "warehouse")} ({names[0]}{f" to {names[-1]}" if names[1:] else ""})']


def _count(things: Sized, name: str) -> str:
    return f'{len(things)} {name}{"" if len(things) == 1 else "s"}'


def _weights(
    owner: nn.Module, state: Mapping[str, Any], cells: Mapping[str, Tensor], attentions: Mapping[str, Tensor]
) -> Optional[float]:
    """How many weights the cells of a state dict stand for; None if it does not tell."""
    store, layers, modules = owner.warehouses, dynamic_layers(owner), dict(owner.named_modules())
    inputs = {name: fc1.shape[1] for name, fc1 in attentions.items()}
    if inputs == {name: layer.in_channels for name, layer in layers.items()}:
        return sum(store[name].numel() / budget for name, budget in store.budgets.items())
    weights = 0
    for name, width in inputs.items():
        attention = f'{name}.attention.'.removeprefix('.')
        # Mixtures by cells and the zero cell: in the basis form only its bias has that many.
        bias = state.get(f'{attention}basis_bias', state.get(f'{attention}fc2.bias'))
        if bias is None:
            return None
        logits = bias.numel()
        possible = {group: tuple(cell.shape) for group, cell in cells.items() if logits % (len(cell) + 1) == 0}
        if name in layers and layers[name].warehouse_name in possible:
            possible = {name: possible[layers[name].warehouse_name]}
        module: Any = modules.get(name)
        if len(set(possible.values())) == 1:
            n, *cell = next(iter(possible.values()))
            weights += logits // (n + 1) * torch.Size(cell).numel()
        elif getattr(module, 'in_channels', None) == width:  # the same layer, be it plain
            weights += torch.Size(module.kernel_shape if name in layers else module.weight.shape).numel()
        else:
            return None
    return weights
