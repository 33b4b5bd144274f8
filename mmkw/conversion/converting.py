"""Replacing layers of a network as a plan says."""

from collections.abc import Mapping
from difflib import get_close_matches

from torch import nn

from mmkw.layers import Spec, guard


def convert(model: nn.Module, plan: Mapping[str, Spec]) -> nn.Module:
    """Replace, in place, the layers that a plan names by dynamic ones, or put gates after them.

    Each keeps its name and its bias; what layers share, such as ``model.warehouses``, is added to the model. All that
    is added is freshly initialised. What was frozen stays so: a new layer if the old one was, and what layers share if
    all of them were.

    Args:
        model: Any network.
        plan: Name of a group -> its spec, such as a :class:`mmkw.layers.WarehousePlan`. Groups are built in the order
            in which the network has their first layers.

    Returns:
        The same model.

    Raises:
        ValueError: If the plan names a layer that is not there, one that cannot be converted or one layer twice, or a
            group cannot be built as asked. The model is then unchanged.
    """
    _check_layers(model, plan)
    modules = dict(model.named_modules())
    groups: dict[str, Spec] = {}
    for name, spec in plan.items():
        for part, part_spec in spec.split(name, modules).items():
            if part in groups:
                raise ValueError(f'two warehouses would be named {part!r}; rename {name!r}')
            groups[part] = part_spec
    group_of = {layer: group for group, spec in groups.items() for layer in spec.layers}

    in_order = [name for name in modules if name in group_of]
    built: dict[str, nn.Module] = {}
    shared: dict[str, nn.Module] = {}
    for group in dict.fromkeys(group_of[name] for name in in_order):
        plain = {name: modules[name] for name in in_order if group_of[name] == group}
        built.update(groups[group].build(group, plain, shared))
    for name in shared:
        parent, _, leaf = name.rpartition('.')
        if hasattr(modules[parent], leaf):
            holder = type(modules[parent]).__name__
            raise ValueError(f'{holder} already has an attribute `{leaf}`; convert a plain network, once')
    for name, module in {**shared, **built}.items():
        parent, _, leaf = name.rpartition('.')
        setattr(model.get_submodule(parent), leaf, module)
    guard(model)
    return model


def _check_layers(model: nn.Module, plan: Mapping[str, Spec]) -> None:
    modules = dict(model.named_modules())
    group_of: dict[str, str] = {}
    for group, spec in plan.items():
        if not spec.layers:
            raise ValueError(f'warehouse {group!r} of the plan has no layer')
        for name in spec.layers:
            if name not in modules:
                close = get_close_matches(name, modules, n=3)
                hint = f'; did you mean {" or ".join(close)}?' if close else ''
                raise ValueError(f'the plan puts {name!r} into {group!r}, but the network has no such layer{hint}')
            reason = spec.refusal(modules[name])
            if reason is not None:
                raise ValueError(f'the plan names {name!r}, a {type(modules[name]).__name__}; {reason}')
            if name in group_of:
                raise ValueError(f'the plan names {name!r} twice, in {group_of[name]!r} and in {group!r}')
            group_of[name] = group
    if not group_of:
        raise ValueError('the plan names no layer')
