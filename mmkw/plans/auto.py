"""Makes a plan for any network."""

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Optional, Union

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmkw.layers import Plan, WarehousePlan
from mmkw.layers.spec import in_channels_of, kernel_shape
from mmkw.ops import Cut, cell_shape, num_mixtures

from .left_plain import kernel_layers, left_plain, pattern_of
from .registry import register_plan
from .settings import parse_budget

_MAX_MIXTURES = 512  # the warehouses of the published models have fewer
_ATTENTION_SHARE = 1.0  # largest size of the attentions, relative to the weights that the warehouse stands for


@register_plan('auto')
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

    Layers are in one *stage* if their names begin alike, up to the first part that ends in a number or is one
    (``layer1``, ``stages.0``). Single blocks in a row that end in the same width (``layers.0``, ``layers.1``, ... of a
    ViT) are one stage too. The *kinds* are ``conv``, ``grouped``, ``depthwise`` and ``linear``. The layers of one kind
    in one stage share a warehouse (``stage2_conv``) as long as the attentions, whose size grows with the number of
    cells, stay small beside the weights. Layers that would make the attentions large get further warehouses
    (``stage2_conv_2``). Depthwise layers share only if their widths are equal. Below budget 1, cells are cut smaller
    until the start assignment gives every layer the same part of them.

    These layers stay plain: the first convolution, a last Linear layer outside of all blocks (the classifier), narrow
    layers, and layers that cannot be converted. A layer cannot be converted if its class is unknown, if it is used
    under two names, has hooks or shares its weight, or if the module that holds it reads its ``weight``.

    Args:
        model: The plain network. It is not changed.
        budget: Convolutional parameter budget b of every warehouse, a number or text such as ``'1/2x'``.
        skip: Names, or patterns such as ``'*.se.*'``, of layers to leave plain. Default: none.
        min_width: Layers with fewer input or output channels stay plain. Default: 16.
        reduction, norm: See :class:`mmkw.layers.KWAttention`. The norm's default is ``'BN'`` in a network with batch
            norms, else ``'LN'``.
        log: Called with a table of the warehouses and of the layers that stay plain. Default: print.

    Returns:
        Warehouse name -> :class:`WarehousePlan`; :func:`mmkw.plans.adjust` changes it.

    Raises:
        ValueError: If a pattern fits no layer, or no layer can be converted.
    """
    budget = parse_budget(budget)
    layers = kernel_layers(model)
    plain = left_plain(model, layers, skip, min_width)
    groups = _grouped(layers, plain, budget, reduction)
    if not groups:
        reasons = ''.join(f'\n  {name}: {reason}' for name, reason in plain.items())
        raise ValueError(f'{type(model).__name__} has no layer to move into a warehouse{reasons}')
    if norm is None:
        norm = 'BN' if any(isinstance(m, _BatchNorm) for m in model.modules()) else 'LN'
    warehouses: dict[str, WarehousePlan] = {}
    for name, group in groups.items():
        ratios = _cut(group.kernels, int(1 / budget) if budget < 1 else 1) or (1.0, 1.0)
        warehouses[name] = WarehousePlan(tuple(group.names), budget, *ratios, reduction=reduction, norm=norm)
    log(_report(warehouses, layers, plain))
    return dict(warehouses)


@dataclass
class _Group:
    """Layers that are to share a warehouse."""

    names: list[str] = field(default_factory=list)
    layers: list[nn.Module] = field(default_factory=list)

    @property
    def kernels(self) -> list[tuple[int, ...]]:
        """Shapes of the layers' kernels."""
        return [kernel_shape(layer) for layer in self.layers]

    def add(self, name: str, layer: nn.Module) -> None:
        """Let a layer share the warehouse."""
        self.names.append(name)
        self.layers.append(layer)

    def takes(self, layer: nn.Module, budget: float, reduction: float) -> bool:
        """Whether the attentions stay small enough beside the weights if one more layer shares the warehouse."""
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
        hidden = [max(int(in_channels_of(other) * reduction), 16) for other in layers]
        logits = sum(h * m for h, m in zip(hidden, mixtures)) * sum(mixtures)
        return logits <= _ATTENTION_SHARE * sum(torch.Size(kernel).numel() for kernel in kernels)


def _grouped(layers: dict[str, nn.Module], plain: dict[str, str], budget: float, reduction: float) -> dict[str, _Group]:
    """Warehouse name -> its layers. Layers that cannot be cut for the budget go to ``plain``, with the reason."""
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
    return groups


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
        is_block = max(Counter(pattern_of(name[len(key) :]) for name in own).values()) == 1
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


def _cut(kernels: Sequence[tuple[int, ...]], period: int) -> Optional[tuple[float, float]]:
    """Cell ratios (in, out) of the largest cells with which every kernel has a multiple of ``period`` mixtures."""
    divisors = [d for d in range(1, period + 1) if period % d == 0]
    for inplane, outplane in sorted(itertools.product(divisors, divisors), key=lambda pair: (pair[0] * pair[1], pair)):
        try:
            cell = cell_shape(kernels, Cut(1 / inplane, 1 / outplane))
        except ValueError:
            continue
        if all(num_mixtures(kernel, cell) % period == 0 for kernel in kernels):
            return 1 / inplane, 1 / outplane
    return None


def _report(plan: dict[str, WarehousePlan], layers: dict[str, nn.Module], plain: dict[str, str]) -> str:
    lines = [f'automatic plan: {sum(len(spec.layers) for spec in plan.values())} layers in {len(plan)} warehouses']
    for group, spec in plan.items():
        kernels = [kernel_shape(layers[name]) for name in spec.layers]
        cell = cell_shape(kernels, spec.cut)
        mixtures = sum(num_mixtures(kernel, cell) for kernel in kernels)
        shape = ' x '.join(map(str, cell))
        lines.append(f'  {group}: {mixtures} mixtures of {shape}, layers {", ".join(spec.layers)}')
    lines += [f'  plain: {name} ({reason})' for name, reason in plain.items()]
    return '\n'.join(lines)
