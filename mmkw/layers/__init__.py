"""KernelWarehouse layers; imports torch and nothing else."""

from .attention import KWAttention
from .conv import KWConv1d, KWConv2d, KWConv3d, KWConvNd, KWLinear
from .fit import MisfitError, check_fit, guard
from .temperature import set_temperature
from .warehouse import Warehouse, Warehouses

__all__ = [
    'KWAttention',
    'KWConv1d',
    'KWConv2d',
    'KWConv3d',
    'KWConvNd',
    'KWLinear',
    'MisfitError',
    'Warehouse',
    'Warehouses',
    'check_fit',
    'guard',
    'set_temperature',
]
