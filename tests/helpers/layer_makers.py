"""Small dynamic layers of every form, and an input for each: what the conformance tests run over.

A new method adds its forms to ``FORMS``.
"""

import copy
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from mmcv.cnn.bricks import Conv2dAdaptivePadding
from torch import Tensor, nn

import mmkw.models  # noqa: F401 - registers mmcv's layers
from mmkw import convert
from mmkw.layers import (
    CBAMSpec,
    CGCConv2d,
    CondConv2d,
    CondConvLinear,
    DCDConv1d,
    DCDConv2d,
    DCDLinear,
    DYConv2d,
    DynamicConvNd,
    DynamicLayer,
    ECASpec,
    KWConv1d,
    KWConv2d,
    KWConv3d,
    KWLinear,
    ODConv2d,
    SESpec,
    Spec,
    WarehousePlan,
    WeightNetConv2d,
)

IMAGE = (3, 4, 6, 7)


class Form(NamedTuple):
    """How to make a layer, the shape of an input for it, and what it can do."""

    make: Callable[[], DynamicLayer]
    shape: tuple[int, ...] = IMAGE
    exports: bool = True
    has_kernels: bool = True
    folds: bool = True
    trains_by_definition: bool = True


def _in_warehouse(*plain: nn.Module, **settings: Any) -> DynamicConvNd:
    """The first of some layers that share a warehouse; it owns the warehouse here."""
    network = convert(nn.Sequential(*plain), {'group': WarehousePlan([str(i) for i in range(len(plain))], **settings)})
    layer = network[0]
    del layer.__dict__['warehouses']
    layer.warehouses = network.warehouses
    return layer


def _kw(kind: type, *sizes: int, **settings: Any) -> Callable[[], DynamicConvNd]:
    return functools.partial(kind, *sizes, **settings)


def _converted(plain: nn.Module, kind: type[Spec], **settings: Any) -> Callable[[], DynamicLayer]:
    return lambda: convert(nn.Sequential(copy.deepcopy(plain)), {'group': kind(['0'], **settings)})[0]


def _forms(kind: type, **settings: Any) -> dict[str, Form]:
    """What every method has of a 2-d convolution."""
    name = kind.__name__
    return {
        name: Form(_kw(kind, 4, 6, 3, padding=1, **settings)),
        f'{name} groups': Form(_kw(kind, 4, 8, 3, stride=2, padding=2, dilation=2, groups=2, bias=False, **settings)),
        f'{name} depthwise': Form(_kw(kind, 4, 4, 3, padding=1, groups=4, **settings)),
        f'{name} pointwise': Form(_kw(kind, 4, 6, 1, stride=2, **settings)),
        f'{name} reflecting': Form(_kw(kind, 4, 6, (3, 2), padding='same', padding_mode='reflect', **settings)),
    }


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
    'CGC': Form(functools.partial(CGCConv2d, 4, 6, 3, padding=1)),
    'CGC strided': Form(functools.partial(CGCConv2d, 32, 6, (3, 2), stride=2, padding=2, dilation=2), (3, 32, 6, 7)),
    'DCD': Form(_kw(DCDConv2d, 4, 6, 3, padding=1, latent=3, squeeze=4, pool=2), trains_by_definition=False),
    'DCD strided': Form(
        _kw(DCDConv2d, 4, 6, (5, 3), stride=2, padding=(4, 2), dilation=2, bias=False, latent=3, squeeze=4),
        trains_by_definition=False,
    ),
    'DCD to the same size': Form(
        _kw(DCDConv2d, 4, 6, 3, padding='same', padding_mode='reflect', latent=2, squeeze=4),
        trains_by_definition=False,
    ),
    'DCD 1-d': Form(_kw(DCDConv1d, 4, 6, 3, padding=1, latent=3, squeeze=4), (3, 4, 9), trains_by_definition=False),
    'DCD Linear': Form(_kw(DCDLinear, 4, 6, latent=3, squeeze=4), (3, 2, 5, 4), trains_by_definition=False),
    'SE': Form(_converted(nn.BatchNorm2d(4), SESpec, reduction=1), has_kernels=False),
    'SE after GroupNorm': Form(_converted(nn.GroupNorm(2, 4), SESpec, reduction=1), has_kernels=False),
    'CBAM': Form(_converted(nn.BatchNorm2d(4), CBAMSpec, reduction=1), has_kernels=False, folds=False),
    'ECA': Form(_converted(nn.BatchNorm2d(4), ECASpec), has_kernels=False),
    **_forms(ODConv2d),
    'ODConv2d of one kernel': Form(_kw(ODConv2d, 4, 6, 3, kernels=1)),
    'ODConv2d of one kernel on few positions': Form(_kw(ODConv2d, 4, 12, 3, padding=1, kernels=1), (3, 4, 4, 3)),
    'ODConv2d of one kernel in groups on few positions': Form(
        _kw(ODConv2d, 4, 12, 3, 2, 1, groups=2, kernels=1, padding_mode='circular'), (3, 4, 4, 3)
    ),
    'ODConv2d of one pointwise kernel': Form(_kw(ODConv2d, 4, 6, 1, kernels=1, bias=False)),
    'ODConv2d of one depthwise kernel': Form(_kw(ODConv2d, 4, 4, 3, groups=4, kernels=1)),
    **_forms(DYConv2d, reduction=2),
    **_forms(CondConv2d),
    'CondConvLinear': Form(_kw(CondConvLinear, 4, 6, experts=3), (3, 2, 5, 4)),
    'CondConvLinear of one position': Form(_kw(CondConvLinear, 4, 6, bias=False), (3, 4)),
    'CondConvLinear of many features': Form(_kw(CondConvLinear, 192, 3, experts=3), (3, 192)),
    **_forms(WeightNetConv2d),
    'WeightNetConv2d of several values': Form(_kw(WeightNetConv2d, 4, 6, 3, m=4)),
    'WeightNetConv2d with parts across channels': Form(_kw(WeightNetConv2d, 3, 6, 2), (3, 3, 6, 7)),
}


def layer_of(name: str) -> tuple[DynamicLayer, Tensor]:
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
