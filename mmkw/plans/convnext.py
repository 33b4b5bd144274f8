"""Says which convolution of a ConvNeXt goes to which warehouse (published layout)."""

from collections import defaultdict
from typing import Any, Union

from torch import nn

from mmkw.layers import Plan, WarehousePlan

from .registry import register_plan
from .settings import parse_budget

_RUN = 3


@register_plan('convnext')
def convnext_plan(network: nn.Module, budget: Union[float, str] = '1x', reduction: float = 1 / 16) -> Plan:
    """Plan for mmpretrain's ConvNeXt: a warehouse for the stem, for each downsample convolution, and for a stage's
    depthwise and pointwise layers.

    Args:
        network: The plain network, with pointwise layers that are 1x1 convolutions.
        budget: Convolutional parameter budget b, a number or text such as ``'3/4x'``. At 3/4 the layers have different
            budgets, as in the paper: the third stage is cut into runs of three blocks, and the pointwise layers of the
            last two stages have budget 1/2 and cells of half the width. Other budgets below 1 apply to all pointwise
            layers, with cells of half the width. All other layers have budget 1 or above. Default: ``'1x'``.
        reduction: Hidden width of the attentions over their input width. Default: 1/16.
    """
    budget = parse_budget(budget)
    mixed = budget == 0.75
    layers: dict[str, list[str]] = defaultdict(list)
    settings: dict[str, dict[str, Any]] = defaultdict(lambda: dict(budget=max(budget, 1.0)))
    layers['stem'].append('downsample_layers.0.0')
    for stage in range(1, len(network.stages)):
        layers[f'downsample{stage}'].append(f'downsample_layers.{stage}.1')
    for stage, blocks in enumerate(network.stages):
        for index in range(len(blocks)):
            group = f'stage{stage}' + (f'_run{index // _RUN}' if mixed and stage == 2 else '')
            prefix = f'stages.{stage}.{index}'
            layers[f'{group}_depthwise'].append(f'{prefix}.depthwise_conv')
            layers[f'{group}_pointwise'] += [f'{prefix}.pointwise_conv1', f'{prefix}.pointwise_conv2']
            if budget < 1 and (stage >= 2 or not mixed):
                settings[f'{group}_pointwise'] = dict(
                    budget=0.5 if mixed else budget, cell_inplane_ratio=0.5, cell_outplane_ratio=0.5
                )
    return {
        name: WarehousePlan(tuple(names), reduction=reduction, norm='LN', **settings[name])
        for name, names in layers.items()
    }
