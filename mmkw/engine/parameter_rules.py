"""Lets rules by parameter name treat what layers share, such as a warehouse, as the weight of the deepest layer.

Layer-wise learning rates and ``custom_keys`` go by the names of parameters. A name such as
``backbone.warehouses.stage3`` says nothing of the layers that share the warehouse, so such rules would give it the rate
of the stem or of the head.

Importing mmkw therefore replaces ``__call__`` of mmengine's DefaultOptimWrapperConstructor. The constructors of mmdet
and mmpretrain inherit it, and all of them take the names from a walk over the model's modules, so a config needs no new
key. New constructors registered under the old names would not reach configs that give ``constructor`` as a class, nor
constructors of other libraries.
"""

import functools
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Optional

from mmengine.logging import MMLogger
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from torch import nn
from torch.optim import SGD

from mmkw.layers import shared_banks


def see_banks_as_layers() -> None:
    """Make optimizer constructors treat a shared bank as the weight of its deepest layer; ``import mmkw`` calls this.

    A bank is what layers mix their kernels from, such as a warehouse. If a key of ``custom_keys`` means a bank by its
    own name, as ``'warehouses'`` or ``'backbone.warehouses.stage3'`` do, the bank keeps that name. Without a
    ``paramwise_cfg`` nothing changes. The order of parameters stays the same, since a resumed optimizer finds its state
    by that order. The log says what each bank got.

    A ValueError refuses a rule within a rule, which mmengine would ignore. ``--cfg-options`` makes one where a key of
    ``custom_keys`` has a dot in it, as ``attention.fc2``.
    """
    plain_call = DefaultOptimWrapperConstructor.__call__

    @functools.wraps(plain_call)
    def call(self: DefaultOptimWrapperConstructor, model: nn.Module) -> OptimWrapper:
        _check_rules(self.paramwise_cfg)
        network = getattr(model, 'module', model)  # as mmengine unwraps it
        deepest = {bank: layers[-1] for bank, layers in shared_banks(network).items()}
        if not self.paramwise_cfg or not deepest:
            wrapper = plain_call(self, model)
        else:
            seen_as = _layers_for_names(network, deepest, self.paramwise_cfg.get('custom_keys') or {})
            with _renamed(network, seen_as):
                wrapper = plain_call(self, model)
            MMLogger.get_current_instance().info(_report(network, deepest, seen_as, wrapper))
        _warn_of_a_start_that_is_lost(network, wrapper)
        return wrapper

    DefaultOptimWrapperConstructor.__call__ = call


def _check_rules(paramwise_cfg: Optional[Mapping[str, Any]]) -> None:
    for key, rule in ((paramwise_cfg or {}).get('custom_keys') or {}).items():
        for part, value in rule.items():
            if isinstance(value, Mapping):
                raise ValueError(
                    f'custom_keys has the rule {key!r}: {dict(rule)}, in which {part!r} is no option of a parameter. '
                    f'If the key is meant to be {key}.{part}, give all keys as one dict: '
                    f"custom_keys={{'{key}.{part}': dict(...)}}"
                )


def _warn_of_a_start_that_is_lost(model: nn.Module, wrapper: OptimWrapper) -> None:
    """Warn if attentions begin at the start assignment and learn fast.

    Weights of the mix do not change with the scale of the logits, and at first one logit of many has all the weight. So
    steps of a usual size soon give the others more.
    """
    rates = {id(parameter): group['lr'] for group in wrapper.param_groups for parameter in group['params']}
    starting = {
        name: layer for name, layer in model.named_modules() if getattr(layer, 'attention_init', None) == 'start'
    }
    fast = [
        name
        for name, layer in starting.items()
        if rates.get(id(layer.attention.bias), 0) > 0.05 * rates.get(id(layer.cells), math.inf)
    ]
    if not fast:
        return
    # AdamW's step has one length. SGD's is as long as the gradient, which grows as logits shrink: the rate's square.
    keys, rate = ['attention'], 0.01
    if isinstance(wrapper.optimizer, SGD):
        keys, rate = ['attention.fc2'], 0.0001
        keys += ['basis_bias'] if any(layer.attention.has_basis for layer in starting.values()) else []
    rules = ', '.join(f"'{key}': dict(lr_mult={rate})" for key in keys)
    MMLogger.get_current_instance().warning(
        f"attention_init='start': {len(fast)} layers, the first is {fast[0]}, begin at the start assignment, but their "
        'attentions learn nearly as fast as the cells. They lose the start within few steps, and the network what it '
        f'knows. Give them a lower rate: optim_wrapper=dict(paramwise_cfg=dict(custom_keys={{{rules}}})) '
        '(docs/study.md)'
    )


def _layers_for_names(model: nn.Module, deepest: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    """Bank -> the layer that it is treated as; banks that keep their own name are left out."""
    names = [name for name, _ in model.named_parameters() if name not in deepest]
    names += [f'{layer}.weight' for layer in deepest.values()]
    # A key that fits another name too does not mean a bank: 'stage3' may be a part of the backbone.
    keys = [key for key in keys if not any(key in name for name in names)]
    return {
        bank: layer
        for bank, layer in deepest.items()
        if not any(key in bank for key in keys) and layer.startswith(_owner(bank)) and layer
    }


def _owner(bank: str) -> str:
    """Prefix of the module that holds a bank's store: ``'backbone.'`` for ``backbone.warehouses.stage3``."""
    return ''.join(f'{part}.' for part in bank.split('.')[:-2])


@contextmanager
def _renamed(model: nn.Module, seen_as: Mapping[str, str]) -> Iterator[None]:
    """Show ``owner.warehouses.stage3`` to a walk over modules as ``owner.layer4.2.conv3.weight``, at its place."""
    banks = {bank.rpartition('.')[0] for bank in seen_as}
    stores = [(path, store) for path, store in model.named_modules() if path in banks]
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
    owner: nn.Module, store: nn.Module, path: str, seen_as: Mapping[str, str]
) -> Iterator[tuple[str, nn.Module]]:
    """The named children of the store's owner, where one child per parameter takes the place of the store."""
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
    """A dict key that differs from all others, even if its text is equal: the layer itself may be a child too."""

    __slots__ = ()
    __eq__ = object.__eq__
    __hash__ = object.__hash__


def _report(model: nn.Module, deepest: Mapping[str, str], seen_as: Mapping[str, str], wrapper: OptimWrapper) -> str:
    groups = {id(p): (i, group) for i, group in enumerate(wrapper.param_groups) for p in group['params']}
    lines = ['what rules by parameter name gave to what layers share:']
    for bank in deepest:
        number, group = groups.get(id(model.get_parameter(bank)), (None, {}))
        if number is None:
            lines.append(f'  {bank}: frozen')
            continue
        # The constructors of mmdet and mmpretrain name their groups by these keys.
        name = ''.join(f' ({key} {group[key]})' for key in ('group_name', 'layer_id') if key in group)
        by = f'as its deepest layer {seen_as[bank]}' if bank in seen_as else 'by its own name'
        lines.append(
            f'  {bank}: parameter group {number}{name}, learning rate {group["lr"]:.4g}, '
            f'weight decay {group.get("weight_decay", 0):.4g}, {by}'
        )
    return '\n'.join(lines)
