"""Backbones and layers under their registered names."""

from mmengine.registry import MODELS

from mmkw.layers import (
    CondConv2d,
    CondConvLinear,
    DYConv2d,
    KWConv1d,
    KWConv2d,
    KWConv3d,
    KWLinear,
    ODConv2d,
    WeightNetConv2d,
)

from . import extent, padded  # noqa: F401 - hears of a model's backbone; registers mmcv's layers
from .converted import converted_backbone, kw_backbone
from .convnext import KWConvNeXt
from .efficientnet_lite import EfficientNetLite0
from .linear_head import ConvertedLinearClsHead, DropoutLinearClsHead, KWLinearClsHead
from .mobilenet_v2 import KWMobileNetV2
from .resnet import KWResNet, PlainResNet

_LAYERS = (KWConv1d, KWConv2d, KWConv3d, KWLinear, ODConv2d, DYConv2d, CondConv2d, CondConvLinear, WeightNetConv2d)
for _layer in _LAYERS:
    MODELS.register_module(module=_layer)

__all__ = [
    'ConvertedLinearClsHead',
    'DropoutLinearClsHead',
    'EfficientNetLite0',
    'KWConvNeXt',
    'KWLinearClsHead',
    'KWMobileNetV2',
    'KWResNet',
    'PlainResNet',
    'converted_backbone',
    'kw_backbone',
]
