"""Which layer of a network belongs to which warehouse; imports torch and nothing else."""

from .auto import auto_plan
from .convert import convert, is_convertible, plain_class, register_layer
from .convnext import convnext_plan
from .mobilenet_v2 import mobilenet_v2_plan
from .plan import Plan, WarehousePlan, adjust, parse_budget
from .resnet import resnet_plan
from .sharing import split_by_sharing
from .vit import vit_plan

__all__ = [
    'Plan',
    'WarehousePlan',
    'adjust',
    'auto_plan',
    'convert',
    'convnext_plan',
    'is_convertible',
    'mobilenet_v2_plan',
    'parse_budget',
    'plain_class',
    'register_layer',
    'resnet_plan',
    'split_by_sharing',
    'vit_plan',
]
