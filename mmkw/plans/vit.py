"""Says which Linear layer of a Vision Transformer goes to which warehouse.

The paper trains DeiT-Tiny at b = 4, but neither it nor the release says which layers share a warehouse. The choices
here are explained in docs/any_backbone.md.
"""

from typing import Union

from torch import nn

from mmkw.layers import Plan, WarehousePlan

from .registry import register_plan
from .settings import parse_budget


@register_plan('vit')
def vit_plan(network: nn.Module, budget: Union[float, str] = '4x', reduction: float = 1 / 16) -> Plan:
    """Plan for mmpretrain's VisionTransformer: one warehouse for all attention blocks, and one for all MLPs.

    All blocks have the same width, so all of them can share. The patch embedding stays plain.

    Args:
        network: The plain network.
        budget: Convolutional parameter budget b, a number or text such as ``'4x'``. Default: ``'4x'``.
        reduction: Hidden width of the attentions over their input width. Default: 1/16.
    """
    budget = parse_budget(budget)
    names = {
        'attention': [f'layers.{i}.attn.{name}' for i in range(len(network.layers)) for name in ('qkv', 'proj')],
        'mlp': [f'layers.{i}.ffn.layers.{name}' for i in range(len(network.layers)) for name in ('0.0', '1')],
    }
    return {
        group: WarehousePlan(tuple(layers), budget, reduction=reduction, norm='LN') for group, layers in names.items()
    }
