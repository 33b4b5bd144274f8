"""Refusing weights that would leave a network's KernelWarehouse layers as they were, which libraries only warn of."""

from collections.abc import Mapping, Sized
from typing import Any, Optional

import torch
from torch import Tensor, nn

from .attention import KWAttention
from .warehouse import Warehouses

State = Mapping[str, Any]

_PUBLISHED = 'warehouse_manager.weights.'
_PLAIN_HINT = (
    "a plain network starts a KW one by init_cfg=dict(type='PlainPretrained', checkpoint=...) or tools/warm_start.py"
)
_PUBLISHED_HINT = (
    "a published file is for init_cfg=dict(type='PublishedPretrained', checkpoint=...) or tools/convert_checkpoint.py"
)


class MisfitError(ValueError):
    """Weights are not for the network that they were to fill; the message is one sentence for the user."""


def guard(owner: nn.Module) -> None:
    """Let every ``load_state_dict`` of a module that owns warehouses, or of what holds it, refuse misfits.

    torch's and mmengine's are meant, strict or not, so whatever loads: runners, initialisers, weight averages,
    inferencers. Nothing in the owner is changed then. A state dict with nothing for KW layers, such as a head's, may be
    loaded.
    """
    owner._register_load_state_dict_pre_hook(_refuse_misfit, with_module=True)


def check_fit(model: nn.Module, state: State, source: str = 'the checkpoint', prefix: str = '') -> None:
    """Check that a state dict fills all KernelWarehouse layers of a model, and is of no such network if it has none.

    Args:
        model: Any module.
        state: The whole state dict.
        source: What the message calls it. Default: ``'the checkpoint'``.
        prefix: Where the model is in it, such as ``'backbone.'``. Default: ``''``, the names are the model's.

    Raises:
        MisfitError: If a layer or warehouse is missing or of another shape. A classifier for another number of classes
            is left to the library that loads it.
    """
    owners = {name: module for name, module in model.named_modules() if _is_owner(module)}
    for name, owner in owners.items():
        place = f'{prefix}{name}.' if name else prefix
        _check(owner, _under(place, state), state, place, source)
    if not owners and any('warehouses.' in key for key in _under(prefix, state)):
        raise MisfitError(
            f'{source} is of a KernelWarehouse network, and {type(model).__name__} is plain: take the config that '
            'matches, or tools/fold.py to make a plain checkpoint of it'
        )


def _refuse_misfit(owner: nn.Module, state: State, prefix: str, *args: Any) -> None:
    if not _is_owner(owner):  # it has been folded
        return
    own, unknown_above = _under(prefix, state), args[3]  # keys that the modules which hold the owner do not know
    is_part = own.keys() <= owner.state_dict().keys() and own.keys().isdisjoint(_kw_state(owner))
    if not is_part or (unknown_above and not own):
        _check(owner, own, dict.fromkeys(unknown_above), prefix, 'the checkpoint')


def _check(owner: nn.Module, own: State, others: State, prefix: str, source: str) -> None:
    """Raise unless ``own``, which has the owner's names, fills its KW layers; ``others`` is what else there is."""
    expected = _kw_state(owner)
    wrong = [key for key, value in expected.items() if getattr(own.get(key), 'shape', None) != value.shape]
    wrong.sort(key=lambda key: not key.startswith('warehouses.'))
    if not wrong or _is_for_other_classes(owner, own):
        return
    shape = getattr(own.get(wrong[0]), 'shape', None)
    what = 'is missing' if shape is None else f'is {tuple(shape)} for {tuple(expected[wrong[0]].shape)}'
    found, hint = _sort(owner, own, others)
    raise MisfitError(
        f'{source} does not fit {type(owner).__name__}: it has {_describe(owner, found)} where the model has '
        f'{_describe(owner, owner.state_dict())} ({prefix}{wrong[0]} {what}); {hint}'
    )


def _sort(owner: nn.Module, own: State, others: State) -> tuple[State, str]:
    """What a misfit has for such an owner, under the owner's names, and what the file is good for."""
    found = own or others
    if isinstance(found.get('model'), Mapping):
        found = found['model']
    place = ''
    if layer := next(iter(_layers(owner)), ''):
        ends = (f'.{layer}.attention.fc1.weight', f'.{layer}.weight')
        place = next((f'{key.removesuffix(end)}.' for key in found for end in ends if key.endswith(end)), '')
    found = {key.removeprefix(place): value for key, value in found.items()}
    if any(key.startswith(_PUBLISHED) for key in found):
        return found, _PUBLISHED_HINT
    if any(key.startswith('warehouses.') for key in found):
        if own and not place:
            return found, 'take the file or the config that matches'
        prefix = f', prefix={place!r}' if place else ''
        return found, f"init_cfg=dict(type='Pretrained', checkpoint=...{prefix}) of the {type(owner).__name__} takes it"
    if 'model' in found:
        return found, f"its weights are under 'model': {_PUBLISHED_HINT}, and {_PLAIN_HINT}"
    if not found:
        return found, 'take the file or the config that matches'
    return found, _PLAIN_HINT


def _is_owner(module: nn.Module) -> bool:
    return isinstance(module._modules.get('warehouses'), Warehouses)


def _under(prefix: str, state: State) -> dict[str, Any]:
    return {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}


def _layers(owner: nn.Module) -> dict[str, nn.Module]:
    """The KW layers that mix from the owner's warehouses."""
    return {
        name: module
        for name, module in owner.named_modules()
        if isinstance(module._modules.get('attention'), KWAttention) and module.warehouses is owner.warehouses
    }


def _kw_state(owner: nn.Module) -> dict[str, Tensor]:
    """What has to be filled: the warehouses and their layers, but for what a state dict may lack."""
    parts = ('warehouses.', *(f'{name}.' if name else '' for name in _layers(owner)))
    optional = ('.temperature', '.num_batches_tracked')
    state = owner.state_dict().items()
    return {key: value for key, value in state if key.startswith(parts) and not key.endswith(optional)}


def _is_for_other_classes(owner: nn.Module, found: State) -> bool:
    """Whether a single layer differs in nothing but its number of outputs, as a classifier's does."""
    layers = _layers(owner)
    if len(layers) != 1:
        return False
    [(name, layer)] = layers.items()
    own = _under(f'{name}.' if name else '', found)
    bias, fc1 = own.get('bias'), own.get('attention.fc1.weight')
    if layer.bias is None or bias is None or fc1 is None:
        return False
    return bias.shape != layer.bias.shape and fc1.shape == layer.attention.fc1.weight.shape


def _describe(owner: nn.Module, state: State) -> str:
    """The network, its budget and its warehouses, in words."""
    network = owner.describe_state(state) if hasattr(owner, 'describe_state') else None
    cells = {
        key.rpartition('.')[2]: value
        for key, value in state.items()
        if key.startswith(('warehouses.', _PUBLISHED)) and not key.endswith('.temperature')
    }
    if not cells:
        is_network = any(key.endswith('weight') for key in state)
        return f'{network or "a network"} without warehouses (a plain one)' if is_network else 'nothing for it'
    attentions = {
        key.removesuffix('attention.fc1.weight').removesuffix('.'): fc1
        for key, fc1 in state.items()
        if key.endswith('attention.fc1.weight')
    }
    words = [network or _count(attentions, 'layer')]
    if None not in cells.values() and (weights := _weights(owner, state, cells, attentions)):
        words.append(f'budget b = {sum(cell.numel() for cell in cells.values()) / weights:.3g}')
    names = list(cells)
    words.append(f'{_count(cells, "warehouse")} ({names[0]}{f" to {names[-1]}" if names[1:] else ""})')
    return ', '.join(words)


def _count(things: Sized, name: str) -> str:
    return f'{len(things)} {name}{"" if len(things) == 1 else "s"}'


def _weights(
    owner: nn.Module, state: State, cells: Mapping[str, Tensor], attentions: Mapping[str, Tensor]
) -> Optional[float]:
    """How many weights the cells of a state dict stand for; None if it does not tell."""
    store, layers, modules = owner.warehouses, _layers(owner), dict(owner.named_modules())
    inputs = {name: fc1.shape[1] for name, fc1 in attentions.items()}
    if inputs == {name: layer.attention.fc1.in_features for name, layer in layers.items()}:
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
        module = modules.get(name)
        if len(set(possible.values())) == 1:
            n, *cell = next(iter(possible.values()))
            weights += logits // (n + 1) * torch.Size(cell).numel()
        elif getattr(module, 'in_channels', None) == width:  # the same layer, be it plain
            weights += torch.Size(module.kernel_shape if name in layers else module.weight.shape).numel()
        else:
            return None
    return weights
