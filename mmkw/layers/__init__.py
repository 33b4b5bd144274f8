"""Layers whose kernels depend on their input, and the specs that put them into networks; imports torch alone."""

from .base import DynamicConvNd
from .block_vector import BlockVector
from .cgc import CGCConv2d, CGCSpec
from .dcd import DCDConv1d, DCDConv2d, DCDLinear, DCDSpec
from .dynamic import DynamicLayer, SharedState, TemperatureRange, dynamic_layers, temperature_keys
from .extent import Pictures, known_pictures, pictures_in, pictures_now, pool_over_pictures, pools_over_pictures
from .fit import MisfitError, check_fit, guard
from .gated import CBAMSpec, ECASpec, SESpec
from .gates import CBAM, ECA, SE, Gate
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
    set_inference_memory,
)
from .networks import by_definition, parameter_names, set_temperature, shared_banks, temperature_ranges
from .odconv import ODConv2d, ODConvSpec
from .spec import Plan, Spec, is_convertible, register_layer
from .weightnet import WeightNetConv2d, WeightNetSpec
from .whole_kernels import CondConv2d, CondConvLinear, CondConvSpec, DYConv2d, DYConvSpec

__all__ = [
    'BlockVector',
    'CBAM',
    'CBAMSpec',
    'CGCConv2d',
    'CGCSpec',
    'CondConv2d',
    'CondConvLinear',
    'CondConvSpec',
    'DCDConv1d',
    'DCDConv2d',
    'DCDLinear',
    'DCDSpec',
    'DYConv2d',
    'DYConvSpec',
    'DynamicConvNd',
    'DynamicLayer',
    'ECA',
    'ECASpec',
    'Gate',
    'KWAttention',
    'KWConv1d',
    'KWConv2d',
    'KWConv3d',
    'KWConvNd',
    'KWLinear',
    'MisfitError',
    'ODConv2d',
    'ODConvSpec',
    'Pictures',
    'Plan',
    'SE',
    'SESpec',
    'SharedState',
    'Spec',
    'TemperatureRange',
    'Warehouse',
    'WarehousePlan',
    'Warehouses',
    'WeightNetConv2d',
    'WeightNetSpec',
    'by_definition',
    'check_fit',
    'dynamic_layers',
    'guard',
    'is_convertible',
    'known_pictures',
    'parameter_names',
    'pictures_in',
    'pictures_now',
    'pool_over_pictures',
    'pools_over_pictures',
    'register_layer',
    'set_inference_memory',
    'set_temperature',
    'shared_banks',
    'temperature_keys',
    'temperature_ranges',
]
