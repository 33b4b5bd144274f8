"""Says which convolution of a MobileNetV2 goes to which warehouse (published layout)."""

from collections import defaultdict
from typing import Any, Optional, Union

from torch import nn

from mmkw.layers import Plan, WarehousePlan

from .registry import register_plan
from .settings import parse_budget

_STAGES = (1, 2, 3, 4, 5, 6, 6)
_LAST_STAGE = _STAGES[-1]


@register_plan('mobilenet_v2')
def mobilenet_v2_plan(
    network: nn.Module,
    budget: Union[float, str] = '1x',
    reduction: Optional[float] = None,
    share_pointwise: Optional[bool] = None,
) -> Plan:
    """Plan for mmpretrain's MobileNetV2: a warehouse for the stem, and for a stage's depthwise and pointwise layers.

    The seven groups of blocks belong to stages 1, 2, 3, 4, 5, 6 and 6. The first block of a group belongs to the
    stage of the group before, if there is one. The last 1x1 convolution counts as a project convolution of stage 6.

    Args:
        network: The plain network.
        budget: Convolutional parameter budget b, a number or text such as ``'1/2x'``. A budget below 1 applies to
            the pointwise layers of stage 6 alone, with cells of half the width. The other pointwise layers then stay
            plain, and all other layers have budget 1. Default: ``'1x'``.
        reduction: Hidden width of the attentions over their input width. Default: None, 1/16 or, for b < 1, 1/32.
        share_pointwise: Whether a stage's expand and project layers share one warehouse. Default: None, they do
            only at b = 1.
    """
    budget = parse_budget(budget)
    small = budget < 1
    if share_pointwise is None:
        share_pointwise = budget == 1
    if reduction is None:
        reduction = 1 / 32 if small else 1 / 16
    layers: dict[str, list[str]] = defaultdict(list)
    layers['stem'].append('conv1.conv')

    def add_pointwise(stage: int, kind: str, name: str) -> None:
        if not small or stage == _LAST_STAGE:
            layers[f'stage{stage}_{"pointwise" if share_pointwise else kind}'].append(name)

    for group, stage in enumerate(_STAGES):
        for index, block in enumerate(getattr(network, f'layer{group + 1}')):
            handed_to = _STAGES[group - 1] if index == 0 and group > 0 else stage
            names = [f'layer{group + 1}.{index}.conv.{i}.conv' for i in range(len(block.conv))]
            *expand, depthwise, project = names
            for name in expand:
                add_pointwise(handed_to, 'expand', name)
            layers[f'stage{handed_to}_depthwise'].append(depthwise)
            add_pointwise(handed_to, 'project', project)
    add_pointwise(_LAST_STAGE, 'project', 'conv2.conv')

    def settings(name: str) -> dict[str, Any]:
        if not small:
            return dict(budget=budget)
        if name == 'stem' or name.endswith('depthwise'):
            return dict(budget=1.0)
        return dict(budget=budget, cell_inplane_ratio=0.5, cell_outplane_ratio=0.5)

    return {name: WarehousePlan(tuple(names), reduction=reduction, **settings(name)) for name, names in layers.items()}
