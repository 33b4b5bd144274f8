"""Which layer of a network belongs to which warehouse; imports torch and nothing else."""

from .convert import convert
from .convnext import convnext_plan
from .mobilenet_v2 import mobilenet_v2_plan
from .plan import Plan, WarehousePlan, adjust, parse_budget
from .resnet import resnet_plan
from .sharing import split_by_sharing

__all__ = [
    'Plan',
    'WarehousePlan',
    'adjust',
    'convert',
    'convnext_plan',
    'mobilenet_v2_plan',
    'parse_budget',
    'resnet_plan',
    'split_by_sharing',
]
