"""Small dynamic layers of every form, and an input for each: what the conformance tests run over.

A new method adds its forms to ``FORMS``.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from mmcv.cnn.bricks import Conv2dAdaptivePadding
from torch import Tensor, nn

import mmkw.models  # noqa: F401 - registers mmcv's layers
from mmkw import convert
from mmkw.layers import DynamicConvNd, KWConv1d, KWConv2d, KWConv3d, KWLinear, WarehousePlan

IMAGE = (3, 4, 6, 7)


class Form(NamedTuple):
    """How to make a layer, the shape of an input for it, and what it can do."""

    make: Callable[[], DynamicConvNd]
    shape: tuple[int, ...] = IMAGE
    exports: bool = True


def _in_warehouse(*plain: nn.Module, **settings: Any) -> DynamicConvNd:
    """The first of some layers that share a warehouse; it owns the warehouse here."""
    network = convert(nn.Sequential(*plain), {'group': WarehousePlan([str(i) for i in range(len(plain))], **settings)})
    layer = network[0]
    del layer.__dict__['warehouses']
    layer.warehouses = network.warehouses
    return layer


def _kw(kind: type, *sizes: int, **settings: Any) -> Callable[[], DynamicConvNd]:
    return functools.partial(kind, *sizes, **settings)


HALF = dict(budget=0.5, cell_inplane_ratio=0.5, cell_outplane_ratio=0.5)

FORMS: dict[str, Form] = {
    'KW plain': Form(_kw(KWConv2d, 4, 6, 3, padding=1, budget=2)),
    'KW basis': Form(
        lambda: _in_warehouse(nn.Conv2d(4, 6, 3), nn.Conv2d(4, 6, 3), nonlocal_basis_ratio=0.5, **HALF),
    ),
    'KW below 1': Form(_kw(KWConv2d, 4, 6, 3, **HALF)),
    'KW softmax': Form(_kw(KWConv2d, 4, 6, 3, attention='softmax')),
    'KW sigmoid': Form(_kw(KWConv2d, 4, 6, 3, attention='sigmoid', start='none')),
    'KW not sharing': Form(_kw(KWConv2d, 4, 6, 3, budget=2, share_cells=False)),
    'KW LayerNorm': Form(_kw(KWConv2d, 4, 6, 3, norm='LN')),
    'KW whole cells': Form(_kw(KWConv2d, 4, 6, 3, spatial_partition=False, channel_partition=False, budget=4)),
    'KW groups': Form(_kw(KWConv2d, 4, 8, 3, stride=2, padding=2, dilation=2, groups=2, bias=False)),
    'KW depthwise': Form(_kw(KWConv2d, 4, 4, 3, padding=1, groups=4)),
    'KW pointwise': Form(_kw(KWConv2d, 4, 6, 1, stride=2)),
    'KW padded by reflection': Form(_kw(KWConv2d, 4, 6, 3, padding=1, padding_mode='reflect')),
    'KW padded to the same size': Form(_kw(KWConv2d, 4, 6, (3, 2), padding='same')),
    'KW padded adaptively': Form(
        lambda: _in_warehouse(Conv2dAdaptivePadding(4, 6, 3, stride=2)),
    ),
    'KW 1-d': Form(_kw(KWConv1d, 4, 6, 3), (3, 4, 9)),
    'KW 3-d': Form(_kw(KWConv3d, 4, 6, 2), (3, 4, 3, 4, 3), exports=False),
    'KW Linear': Form(_kw(KWLinear, 4, 6), (3, 2, 5, 4)),
}


def layer_of(name: str) -> tuple[DynamicConvNd, Tensor]:
    """A layer of a form in float64 and evaluation mode, away from special values, and an input of three samples."""
    torch.manual_seed(0)
    form = FORMS[name]
    layer = form.make().double().eval()
    with torch.no_grad():
        for value in (*layer.parameters(), *layer.buffers()):
            # Starting values, such as a bias of 0, would hide errors in what depends on them.
            if value.is_floating_point() and value.dim():
                value.add_(0.1 * torch.rand_like(value))
    return layer, torch.randn(form.shape, dtype=torch.double)
