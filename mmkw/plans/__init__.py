"""Says which layers of a network become what; imports torch and nothing else."""

from mmkw.layers import Plan, WarehousePlan

from . import dcd, gates, methods  # importing them registers them
from .auto import auto_plan
from .classifier import classifier_plan
from .convnext import convnext_plan
from .mobilenet_v2 import mobilenet_v2_plan
from .registry import method_plan, plan_named, register_method, register_plan
from .resnet import resnet_plan
from .settings import adjust, parse_budget
from .vit import vit_plan

__all__ = [
    'Plan',
    'WarehousePlan',
    'adjust',
    'auto_plan',
    'classifier_plan',
    'convnext_plan',
    'method_plan',
    'mobilenet_v2_plan',
    'parse_budget',
    'plan_named',
    'register_method',
    'register_plan',
    'resnet_plan',
    'vit_plan',
]
