"""KernelWarehouse (Li & Yao, ICML 2024): kernels mixed from cells that the layers of a stage share."""

from .attention import KWAttention
from .conv import KWConv1d, KWConv2d, KWConv3d, KWConvNd, KWLinear
from .kept import set_inference_memory
from .spec import WarehousePlan
from .warehouse import Warehouse, Warehouses

__all__ = [
    'KWAttention',
    'KWConv1d',
    'KWConv2d',
    'KWConv3d',
    'KWConvNd',
    'KWLinear',
    'Warehouse',
    'WarehousePlan',
    'Warehouses',
    'set_inference_memory',
]
