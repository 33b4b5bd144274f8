"""Layers whose kernels depend on their input, and the specs that put them into networks; imports torch alone."""

from .base import DynamicConvNd
from .dynamic import DynamicLayer, SharedState, TemperatureRange, dynamic_layers
from .fit import MisfitError, check_fit, guard
from .kernel_warehouse import (
    KWAttention,
    KWConv1d,
    KWConv2d,
    KWConv3d,
    KWConvNd,
    KWLinear,
    Warehouse,
    WarehousePlan,
    Warehouses,
)
from .networks import by_definition, parameter_names, set_temperature, shared_banks
from .spec import Plan, Spec, is_convertible, register_layer

__all__ = [
    'DynamicConvNd',
    'DynamicLayer',
    'KWAttention',
    'KWConv1d',
    'KWConv2d',
    'KWConv3d',
    'KWConvNd',
    'KWLinear',
    'MisfitError',
    'Plan',
    'SharedState',
    'Spec',
    'TemperatureRange',
    'Warehouse',
    'WarehousePlan',
    'Warehouses',
    'by_definition',
    'check_fit',
    'dynamic_layers',
    'guard',
    'is_convertible',
    'parameter_names',
    'register_layer',
    'set_temperature',
    'shared_banks',
]
