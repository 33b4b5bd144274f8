"""Refusing weights that would leave a network's dynamic layers as they were, which libraries only warn of."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from .base import DynamicConvNd
from .dynamic import SharedState, dynamic_layers, temperature_keys

State = Mapping[str, Any]

_PUBLISHED = 'warehouse_manager.weights.'
_PLAIN_HINT = (
    "a plain network is what init_cfg=dict(type='PlainPretrained', checkpoint=...) or tools/warm_start.py starts from"
)
_PUBLISHED_HINT = (
    "a published file is for init_cfg=dict(type='PublishedPretrained', checkpoint=...) or tools/convert_checkpoint.py"
)


class MisfitError(ValueError):
    """Weights are not for the network that they were to fill; the message is one sentence for the user."""


def guard(owner: nn.Module) -> None:
    """Let every ``load_state_dict`` of a module with dynamic layers, or of what holds it, refuse misfits.

    torch's and mmengine's are meant, strict or not, so whatever loads: runners, initialisers, weight averages,
    inferencers. Nothing in the owner is changed then. A state dict with nothing for dynamic layers, such as a head's,
    may be loaded.
    """
    owner.is_guarded = True
    owner._register_load_state_dict_pre_hook(_refuse_misfit, with_module=True)


def check_fit(model: nn.Module, state: State, source: str = 'the checkpoint', prefix: str = '') -> None:
    """Check that a state dict fills all dynamic layers of a model, and is of no KernelWarehouse network if it has none.

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
    is_part = own.keys() <= owner.state_dict().keys() and own.keys().isdisjoint(_dynamic_state(owner))
    if not is_part or (unknown_above and not own):
        _check(owner, own, dict.fromkeys(unknown_above), prefix, 'the checkpoint')


def _check(owner: nn.Module, own: State, others: State, prefix: str, source: str) -> None:
    """Raise unless ``own``, which has the owner's names, fills its dynamic layers; ``others`` is what else there is."""
    expected = _dynamic_state(owner)
    wrong = [key for key, value in expected.items() if getattr(own.get(key), 'shape', None) != value.shape]
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
    for name, layer in list(dynamic_layers(owner).items())[:1]:
        ends = [f'.{name}.{key}' for key in (*layer.state_dict(), 'weight')]
        place = next((f'{key.removesuffix(end)}.' for key in found for end in ends if key.endswith(end)), '')
    found = {key.removeprefix(place): value for key, value in found.items()}
    if any(key.startswith(_PUBLISHED) for key in found):
        return found, _PUBLISHED_HINT
    if _is_dynamic(owner, found):
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
    """Whether it is guarded; what has been folded since has no dynamic layers any more."""
    return getattr(module, 'is_guarded', False) and bool(dynamic_layers(module))


def _under(prefix: str, state: State) -> dict[str, Any]:
    return {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}


def _shared(owner: nn.Module) -> dict[str, SharedState]:
    return {name: module for name, module in owner.named_modules() if isinstance(module, SharedState)}


def _dynamic_state(owner: nn.Module) -> dict[str, Tensor]:
    """What has to be filled: what layers share, then the layers, but for what a state dict may lack."""
    layers = dynamic_layers(owner)
    optional = temperature_keys(owner)
    state = owner.state_dict()
    return {
        key: value
        for names in (_shared(owner), layers)
        for key, value in state.items()
        if key.startswith(tuple(f'{name}.' if name else '' for name in names))
        and key not in optional
        and not key.endswith('.num_batches_tracked')
    }


def _is_dynamic(owner: nn.Module, state: State) -> bool:
    """Whether a state dict has anything that the plain network has not."""
    layers = dynamic_layers(owner)
    plain = {f'{name}.{key}'.removeprefix('.') for name, layer in layers.items() for key in layer.plain_values()}
    added, shared = _dynamic_state(owner).keys() - plain, tuple(f'{name}.' for name in _shared(owner))
    return any(key in added or key.startswith((*shared, _PUBLISHED)) for key in state)


def _is_for_other_classes(owner: nn.Module, found: State) -> bool:
    """Whether a single layer differs in nothing but its number of outputs, as a classifier's does."""
    if len(layers := dynamic_layers(owner)) != 1:
        return False
    [(name, layer)] = layers.items()
    if not isinstance(layer, DynamicConvNd):
        return False
    own = _under(f'{name}.' if name else '', found)
    pairs = [(own[key].shape, value.shape) for key, value in layer.state_dict().items() if key in own]
    outputs = {theirs[0] for theirs, ours in pairs if ours == (layer.out_channels,) and theirs != ours}
    fits = any(theirs == ours for theirs, ours in pairs if len(ours) > 1)
    return fits and len(outputs) == 1 and len(pairs) == len(layer.state_dict())


def _describe(owner: nn.Module, state: State) -> str:
    """The network and what it has in dynamic layers, in words."""
    network = owner.describe_state(state) if hasattr(owner, 'describe_state') else None
    dynamic = _dynamic_state(owner)
    if not _is_dynamic(owner, state):
        is_network = any(key.endswith('weight') for key in state)
        return f'{network or "a network"} without dynamic layers (a plain one)' if is_network else 'nothing for it'
    words = [word for shared in _shared(owner).values() for word in shared.describe(owner, state)]
    if not words:
        kinds = Counter(type(layer).__name__ for layer in dynamic_layers(owner).values())
        fitting = sum(getattr(state.get(key), 'shape', None) == value.shape for key, value in dynamic.items())
        kinds_in_words = ' and '.join(f'{count} {kind}' for kind, count in kinds.items())
        words = [f'{fitting} of the {len(dynamic)} tensors of {kinds_in_words}']
    return ', '.join([*([network] if network else []), *words])
