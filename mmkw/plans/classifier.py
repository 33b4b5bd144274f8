"""Makes the plan of a classification head."""

from typing import Union

from torch import nn

from mmkw.layers import Plan, WarehousePlan

from .anatomy import classifier_of
from .registry import register_plan
from .settings import parse_budget


@register_plan('classifier')
def classifier_plan(network: nn.Module, budget: Union[float, str] = '1/2x', reduction: float = 1 / 32) -> Plan:
    """Plan for a head such as mmpretrain's LinearClsHead: its linear layer has a warehouse of its own.

    Args:
        network: The plain head.
        budget: Convolutional parameter budget b, a number or text such as ``'1/2x'``. Default: ``'1/2x'``.
        reduction: Hidden width of the attention over its input width. Default: 1/32.

    Raises:
        ValueError: If the network is not a single linear layer with parts that have no weights.
    """
    name = classifier_of(network)
    if name is None:
        raise ValueError(f'{type(network).__name__} is not a head that consists of one linear layer')
    return {'classifier': WarehousePlan((name,), parse_budget(budget), reduction=reduction)}
