"""Lets rules by parameter name see a warehouse as the weight of its deepest layer.

Layer-wise learning rates and ``custom_keys`` go by the names of parameters, and ``backbone.warehouses.stage3`` says
nothing of the layers that share the warehouse: such rules gave it the rate of the stem or of the head.

This replaces ``__call__`` of mmengine's DefaultOptimWrapperConstructor when mmkw is imported. mmdet's and mmpretrain's
constructors inherit it, and all take the names from a walk over the model's modules, so a config needs no new key.
Constructors registered anew under the old names would miss configs that give ``constructor`` as a class, and those of
other libraries.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from mmengine.logging import MMLogger
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from torch import nn

from mmkw.layers import Warehouses
from mmkw.models.info import warehouse_table


def see_warehouses_as_layers() -> None:
    """Make constructors of optimizers see every warehouse as the weight of its deepest layer; ``import mmkw`` calls it.

    A warehouse that a key of ``custom_keys`` means by its own name, such as ``'warehouses'`` or
    ``'backbone.warehouses.stage3'``, is left under that name. Nothing changes without a ``paramwise_cfg``. The walk
    comes to a warehouse where it always did, since a resumed optimizer finds its state by the order of parameters. The
    log has what each warehouse got.
    """
    plain_call = DefaultOptimWrapperConstructor.__call__

    @functools.wraps(plain_call)
    def call(self: DefaultOptimWrapperConstructor, model: nn.Module) -> OptimWrapper:
        network = getattr(model, 'module', model)  # as mmengine unwraps it
        deepest = {row.name: row.layers[-1] for row in warehouse_table(network)}
        if not self.paramwise_cfg or not deepest:
            return plain_call(self, model)
        seen_as = _layers_for_names(network, deepest, self.paramwise_cfg.get('custom_keys') or {})
        with _renamed(network, seen_as):
            wrapper = plain_call(self, model)
        MMLogger.get_current_instance().info(_report(network, deepest, seen_as, wrapper))
        return wrapper

    DefaultOptimWrapperConstructor.__call__ = call


def _layers_for_names(model: nn.Module, deepest: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    """Warehouse -> layer that it is seen as, of those that are not left under their own name."""
    names = [name for name, _ in model.named_parameters() if name not in deepest]
    names += [f'{layer}.weight' for layer in deepest.values()]
    # What fits anything else is no name of a warehouse: 'stage3' may be a part of the backbone.
    keys = [key for key in keys if not any(key in name for name in names)]
    return {
        warehouse: layer
        for warehouse, layer in deepest.items()
        if not any(key in warehouse for key in keys) and layer.startswith(_owner(warehouse)) and layer
    }


def _owner(warehouse: str) -> str:
    """Prefix of the module that owns the warehouse; a layer with a warehouse of its own has it in its name already."""
    return ''.join(f'{part}.' for part in warehouse.split('.')[:-2])


@contextmanager
def _renamed(model: nn.Module, seen_as: Mapping[str, str]) -> Iterator[None]:
    """Show ``owner.warehouses.stage3`` to a walk over the modules as ``owner.layer4.2.conv3.weight``, in its place."""
    stores = [(path, store) for path, store in model.named_modules() if isinstance(store, Warehouses)]
    owners = [(path, store, model.get_submodule(path.rpartition('.')[0])) for path, store in stores]
    children = [owner._modules for _, _, owner in owners]
    try:
        for path, store, owner in owners:
            owner._modules = dict(_children(owner, store, path, seen_as))
        yield
    finally:
        for (_, _, owner), modules in zip(owners, children):
            owner._modules = modules


def _children(
    owner: nn.Module, store: Warehouses, path: str, seen_as: Mapping[str, str]
) -> Iterator[tuple[str, nn.Module]]:
    """The named children of the store's owner, with one for each warehouse in the place of the store."""
    for key, child in owner._modules.items():
        if child is not store:
            yield key, child
            continue
        for group, cells in store.named_parameters():
            layer = seen_as.get(f'{path}.{group}')
            holder = nn.Module()
            holder.register_parameter('weight' if layer else group, cells)
            yield _Name(layer.removeprefix(_owner(f'{path}.{group}')) if layer else key), holder


class _Name(str):
    """A key that stands in a dict beside an equal one: the layer itself may be a child too."""

    __slots__ = ()
    __eq__ = object.__eq__
    __hash__ = object.__hash__


def _report(model: nn.Module, deepest: Mapping[str, str], seen_as: Mapping[str, str], wrapper: OptimWrapper) -> str:
    groups = {id(p): (i, group) for i, group in enumerate(wrapper.param_groups) for p in group['params']}
    lines = ['what rules by parameter name gave the warehouses:']
    for warehouse in deepest:
        number, group = groups.get(id(model.get_parameter(warehouse)), (None, {}))
        if number is None:
            lines.append(f'  {warehouse}: frozen')
            continue
        # How mmdet's and mmpretrain's constructors call it.
        name = ''.join(f' ({key} {group[key]})' for key in ('group_name', 'layer_id') if key in group)
        by = f'as its deepest layer {seen_as[warehouse]}' if warehouse in seen_as else 'by its own name'
        lines.append(
            f'  {warehouse}: parameter group {number}{name}, learning rate {group["lr"]:.4g}, '
            f'weight decay {group.get("weight_decay", 0):.4g}, {by}'
        )
    return '\n'.join(lines)
