"""KernelWarehouse layers; imports torch and nothing else."""

from .attention import KWAttention
from .conv import KWConv1d, KWConv2d, KWConv3d, KWConvNd, KWLinear
from .temperature import set_temperature
from .warehouse import Warehouse, Warehouses

__all__ = [
    'KWAttention',
    'KWConv1d',
    'KWConv2d',
    'KWConv3d',
    'KWConvNd',
    'KWLinear',
    'Warehouse',
    'Warehouses',
    'set_temperature',
]
