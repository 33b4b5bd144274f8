"""A plan for a network that nobody wrote one for."""

import fnmatch
import inspect
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Optional, Union

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmkw.ops import cell_shape, num_mixtures

from .convert import is_convertible
from .plan import Plan, WarehousePlan, parse_budget
from .sharing import kernel_shape

_CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_MAX_MIXTURES = 512  # the published models stay below
_ATTENTION_SHARE = 1.0  # of the weights that a warehouse stands for


def auto_plan(
    model: nn.Module,
    budget: Union[float, str] = '1x',
    skip: Sequence[str] = (),
    min_width: int = 16,
    reduction: float = 1 / 16,
    norm: Optional[str] = None,
    log: Callable[[str], None] = print,
) -> Plan:
    """Plan for any network: its layers grouped by stage and by kind, with cells as large as divisibility allows.

    A *stage* is what shares the first name that ends in, or is, a number (``layer1``, ``stages.0``); single blocks
    in a row that end in the same width (``layers.0``, ``layers.1``, ... of a ViT) are one stage. The *kinds*
    are ``conv``, ``grouped``, ``depthwise`` and ``linear``. What a stage has of a kind shares a warehouse
    (``stage2_conv``) as long as the attentions, whose size grows with the number of cells, stay small beside the
    weights; what would make them large gets further ones (``stage2_conv_2``). Depthwise layers share if their widths
    are equal. Below budget 1, cells are cut smaller until every layer starts from its part of them.

    Left plain are the first convolution, a last Linear layer outside of all blocks (the classifier), narrow layers, and
    what cannot be converted: layers of an unknown class, layers that are used under two names, have hooks or share
    their weight, and those whose ``weight`` the module that holds them reads.

    Args:
        model: The plain network. It stays as it is.
        budget: Convolutional parameter budget b of every warehouse, a number or text such as ``'1/2x'``.
        skip: Names, or patterns such as ``'*.se.*'``, of layers to leave plain. Default: none.
        min_width: Layers with fewer input or output channels stay plain. Default: 16.
        reduction, norm: See :class:`mmkw.layers.KWAttention`. The norm's default is ``'BN'`` in a network with batch
            norms, else ``'LN'``.
        log: Called with a table of the warehouses and of what was left plain. Default: print.

    Returns:
        Warehouse name -> :class:`WarehousePlan`; :func:`mmkw.plans.adjust` changes it.

    Raises:
        ValueError: If a pattern fits no layer, or no layer can be converted.
    """
    budget = parse_budget(budget)
    layers = {name: module for name, module in model.named_modules() if _has_kernel(module)}
    for pattern in skip:
        if not fnmatch.filter(layers, pattern):
            raise ValueError(f'skip: {pattern!r} fits no convolution or Linear layer of {type(model).__name__}')
    plain = _left_plain(model, layers, skip, min_width)
    groups: dict[str, _Group] = {}
    stages = _stages([name for name in layers if name not in plain], layers)
    for name, stage in stages.items():
        layer = layers[name]
        if budget < 1 and _cut([kernel_shape(layer)], int(1 / budget)) is None:
            plain[name] = f'its kernel has no cells of which budget {budget:g} could keep the same part everywhere'
            continue
        base = f'stage{stage}_{_kind(layer)}'
        for number in itertools.count(1):
            group = groups.setdefault(base if number == 1 else f'{base}_{number}', _Group())
            if group.takes(layer, budget, reduction):
                group.add(name, layer)
                break
    if not groups:
        reasons = ''.join(f'\n  {name}: {reason}' for name, reason in plain.items())
        raise ValueError(f'{type(model).__name__} has no layer to move into a warehouse{reasons}')
    if norm is None:
        norm = 'BN' if any(isinstance(m, _BatchNorm) for m in model.modules()) else 'LN'
    plan: Plan = {}
    for name, group in groups.items():
        ratios = _cut(group.kernels, int(1 / budget) if budget < 1 else 1)
        plan[name] = WarehousePlan(tuple(group.names), budget, *ratios, reduction=reduction, norm=norm)
    log(_report(plan, layers, plain))
    return plan


@dataclass
class _Group:
    """Layers that are to share a warehouse."""

    names: list[str] = field(default_factory=list)
    layers: list[nn.Module] = field(default_factory=list)

    @property
    def kernels(self) -> list[tuple[int, ...]]:
        return [kernel_shape(layer) for layer in self.layers]

    def add(self, name: str, layer: nn.Module) -> None:
        self.names.append(name)
        self.layers.append(layer)

    def takes(self, layer: nn.Module, budget: float, reduction: float) -> bool:
        """Whether the warehouse stays worth its attentions with one layer more."""
        if not self.layers:
            return True
        layers = [*self.layers, layer]
        kernels = [kernel_shape(other) for other in layers]
        if budget < 1 and _cut(kernels, int(1 / budget)) is None:
            return False
        cell = cell_shape(kernels)
        mixtures = [num_mixtures(kernel, cell) for kernel in kernels]
        if sum(mixtures) > _MAX_MIXTURES:
            return False
        if _kind(layer).startswith('depthwise'):
            return kernels[0][0] == kernels[-1][0]
        hidden = [max(int(_in_channels(other) * reduction), 16) for other in layers]
        logits = sum(h * m for h, m in zip(hidden, mixtures)) * sum(mixtures)
        return logits <= _ATTENTION_SHARE * sum(torch.Size(kernel).numel() for kernel in kernels)


def _has_kernel(module: nn.Module) -> bool:
    return isinstance(module, (*_CONVS, nn.Linear)) or any(
        name.endswith('weight') and weight.dim() > 1 for name, weight in module.named_parameters(recurse=False)
    )


def _left_plain(model: nn.Module, layers: dict[str, nn.Module], skip: Sequence[str], min_width: int) -> dict[str, str]:
    """Layer -> why it stays plain."""
    uses = Counter(id(m) for _, m in model.named_modules(remove_duplicate=False))
    weights = Counter(id(p) for _, p in model.named_parameters(remove_duplicate=False))
    patterns = Counter(_pattern(name) for name in layers)
    first = next((name for name, layer in layers.items() if isinstance(layer, _CONVS)), None)
    last = next(reversed(layers), None)
    plain: dict[str, str] = {}
    for name, layer in layers.items():
        weight = getattr(layer, 'weight', None)
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in skip):
            plain[name] = 'skipped, as asked'
        elif not is_convertible(layer):
            plain[name] = f'no KW layer is known for a {type(layer).__name__}; see mmkw.plans.register_layer'
        elif uses[id(layer)] > 1:
            plain[name] = 'is used under more than one name'
        elif weights[id(weight)] != 1:
            plain[name] = 'its weight is shared or computed'
        elif layer._forward_hooks or layer._forward_pre_hooks:
            plain[name] = 'has hooks'
        elif _weight_is_read(model, name):
            plain[name] = 'the module that holds it reads its weight'
        elif name == first:
            plain[name] = 'the first convolution'
        elif name == last and isinstance(layer, nn.Linear) and patterns[_pattern(name)] == 1 and len(layers) > 1:
            plain[name] = 'the classifier'
        elif min(_in_channels(layer), kernel_shape(layer)[0]) < min_width:
            plain[name] = f'narrower than {min_width} channels'
    return plain


def _weight_is_read(model: nn.Module, name: str) -> bool:
    """Whether the source of the holder's class says ``.<name>.weight``; a KW layer has no weight to read."""
    holder, _, leaf = name.rpartition('.')
    for cls in type(model.get_submodule(holder)).__mro__:
        if cls.__module__.startswith('torch.nn.modules.container') or cls in (nn.Module, object):
            continue
        try:
            source = inspect.getsource(cls)
        except (OSError, TypeError):
            continue
        if re.search(rf'\.{re.escape(leaf)}\.weight\b', source):
            return True
    return False


def _pattern(name: str) -> str:
    return re.sub(r'(?<![^.])\d+(?![^.])', '#', name)


def _stages(names: Sequence[str], layers: dict[str, nn.Module]) -> dict[str, int]:
    """Layer -> number of its stage."""
    members: dict[str, list[str]] = defaultdict(list)
    for name in names:
        parts = name.split('.')
        end = next((i for i, part in enumerate(parts) if re.search(r'\d', part)), len(parts) - 1)
        members['.'.join(parts[: end + 1])].append(name)

    number, before, stage_of = -1, None, {}
    for key, own in members.items():
        dense = [layers[name] for name in own if not _kind(layers[name]).startswith('depthwise')]
        is_block = max(Counter(_pattern(name[len(key) :]) for name in own).values()) == 1
        width = kernel_shape(dense[-1])[0] if is_block and dense else None
        if width is None or width != before:
            number += 1
        before = width
        stage_of.update(dict.fromkeys(own, number))
    return {name: stage_of[name] for name in names}


def _kind(layer: nn.Module) -> str:
    if isinstance(layer, nn.Linear):
        return 'linear'
    dims = layer.weight.dim() - 2
    kind = 'conv' if layer.groups == 1 else 'depthwise' if layer.weight.shape[1] == 1 else 'grouped'
    return kind if dims == 2 else f'{kind}{dims}d'


def _in_channels(layer: nn.Module) -> int:
    return layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels


def _cut(kernels: Sequence[tuple[int, ...]], period: int) -> Optional[tuple[float, float]]:
    """Cell ratios (in, out) of the largest cells with which every kernel has a multiple of ``period`` mixtures."""
    divisors = [d for d in range(1, period + 1) if period % d == 0]
    for inplane, outplane in sorted(itertools.product(divisors, divisors), key=lambda pair: (pair[0] * pair[1], pair)):
        try:
            cell = cell_shape(kernels, 1 / inplane, 1 / outplane)
        except ValueError:
            continue
        if all(num_mixtures(kernel, cell) % period == 0 for kernel in kernels):
            return 1 / inplane, 1 / outplane
    return None


def _report(plan: Plan, layers: dict[str, nn.Module], plain: dict[str, str]) -> str:
    lines = [f'automatic plan: {sum(len(spec.layers) for spec in plan.values())} layers in {len(plan)} warehouses']
    for group, spec in plan.items():
        kernels = [kernel_shape(layers[name]) for name in spec.layers]
        cell = cell_shape(kernels, spec.cell_inplane_ratio, spec.cell_outplane_ratio)
        mixtures = sum(num_mixtures(kernel, cell) for kernel in kernels)
        shape = ' x '.join(map(str, cell))
        lines.append(f'  {group}: {mixtures} mixtures of {shape}, layers {", ".join(spec.layers)}')
    lines += [f'  plain: {name} ({reason})' for name, reason in plain.items()]
    return '\n'.join(lines)
