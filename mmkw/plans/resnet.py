"""Says which convolution of a ResNet goes to which warehouse (published layout: one warehouse per stage)."""

from collections import defaultdict
from typing import Optional, Union

from torch import nn

from mmkw.layers import Plan, WarehousePlan

from .registry import register_plan
from .settings import parse_budget

_STAGES = 4


@register_plan('resnet')
def resnet_plan(
    network: nn.Module,
    budget: Union[float, str] = '1x',
    cell_inplane_ratio: Optional[float] = None,
    cell_outplane_ratio: Optional[float] = None,
    reduction: float = 1 / 16,
    nonlocal_basis_ratio: Optional[float] = None,
) -> Plan:
    """Plan for a ResNet whose stages are listed in ``res_layers`` (mmpretrain's, mmdet's).

    The first convolution and the downsample of a stage's first block belong to the warehouse of the stage before. The
    stem stays plain and, in bottleneck networks, so do the first convolution and the downsample of the first stage.

    In a network built without its last stages (``num_stages``), the last warehouse still counts the two layers that the
    next stage would add to it. So the warehouse is the same as in the whole network.

    Args:
        network: The plain network.
        budget: Convolutional parameter budget b, a number or text such as ``'1/2x'``. Default: ``'1x'``.
        cell_inplane_ratio, cell_outplane_ratio: Size of a cell over the greatest common divisor of the layers' input
            and output channels. Default: None, 1 for b >= 1 and 1/2 below.
        reduction: Hidden width of the attentions over their input width. Default: 1/16.
        nonlocal_basis_ratio: Size of the basis over the number of nonlocal cells; 1 means no basis form. Default: None,
            1/16 for bottleneck networks at b < 1, else 1.
    """
    budget = parse_budget(budget)
    layers: dict[int, list[str]] = defaultdict(list)
    block = None
    for stage, stage_name in enumerate(network.res_layers):
        for index, block in enumerate(getattr(network, stage_name)):
            prefix = f'{stage_name}.{index}'
            handed_to = stage if index else stage - 1
            if not hasattr(block, 'conv3'):
                handed_to = max(handed_to, 0)
            if handed_to >= 0:
                layers[handed_to].append(f'{prefix}.conv1')
            layers[stage].extend(f'{prefix}.{conv}' for conv in ('conv2', 'conv3') if hasattr(block, conv))
            if block.downsample is not None and stage > 0:
                # With avg_down the first module is a pooling.
                conv = next(i for i, module in enumerate(block.downsample) if isinstance(module, nn.Conv2d))
                layers[stage - 1].append(f'{prefix}.downsample.{conv}')
    ratio = 1.0 if budget >= 1 else 0.5
    if nonlocal_basis_ratio is None:
        nonlocal_basis_ratio = 1 / 16 if hasattr(block, 'conv3') and budget < 1 else 1.0
    absent = {max(layers): _handed_over_by_the_next_stage(block)} if len(network.res_layers) < _STAGES else {}
    return {
        f'stage{stage}': WarehousePlan(
            tuple(names),
            budget,
            ratio if cell_inplane_ratio is None else cell_inplane_ratio,
            ratio if cell_outplane_ratio is None else cell_outplane_ratio,
            reduction=reduction,
            nonlocal_basis_ratio=nonlocal_basis_ratio,
            absent=absent.get(stage, ()),
        )
        for stage, names in sorted(layers.items())
    }


def _handed_over_by_the_next_stage(block: nn.Module) -> tuple[tuple[int, ...], ...]:
    """Kernel shapes of the first convolution and the downsample of the stage after this block, whose widths double."""
    width = getattr(block, 'conv3', block.conv2).out_channels
    return (2 * block.conv1.out_channels, width, *block.conv1.kernel_size), (2 * width, width, 1, 1)
