"""The ecosystem's modules build single KW layers from configs."""

import pytest
import torch
from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from mmdet.models.dense_heads import FCOSHead, RetinaHead
from mmdet.models.necks import FPN, PAFPN
from mmdet.models.roi_heads import FCNMaskHead, Shared4Conv1FCBBoxHead
from mmengine.registry import MODELS, DefaultScope

from mmkw import set_temperature
from mmkw.layers import KWConv2d, KWConvNd

KW = dict(type='KWConv2d', budget=2)


def tensors(value):
    return [value] if isinstance(value, torch.Tensor) else [tensor for part in value for tensor in tensors(part)]


@pytest.mark.parametrize('dims', [1, 2, 3])
@pytest.mark.parametrize(
    'kwargs',
    [
        dict(),
        dict(norm=True, bias='auto', stride=2),
        dict(bias=False, padding=1, dilation=2),
        dict(padding=1, padding_mode='circular', groups=2),
        dict(norm=True, order=('norm', 'act', 'conv')),
    ],
)
def test_a_conv_module_at_temperature_one_is_the_plain_one(dims, kwargs):
    check_conv_module(dims, **kwargs)


@pytest.mark.parametrize('padding_mode', ['reflect', 'replicate', 'zero'])
def test_padding_by_a_layer_of_its_own(padding_mode):
    check_conv_module(2, padding=1, padding_mode=padding_mode)


def check_conv_module(dims, norm=False, **kwargs):
    norm_cfg = dict(type=f'BN{dims}d') if norm else None
    kw, plain = (
        ConvModule(4, 6, 3, conv_cfg=conv_cfg, norm_cfg=norm_cfg, **kwargs).double()
        for conv_cfg in (dict(type=f'KWConv{dims}d', budget=2), dict(type=f'Conv{dims}d'))
    )
    x = torch.randn(2, 4, *[7] * dims, dtype=torch.double)
    set_temperature(kw, 1)
    with torch.no_grad():
        plain.conv.weight.copy_(kw.conv.kernel(x)[0])
    assert (kw.conv.bias is None) == (plain.conv.bias is None)
    torch.testing.assert_close(kw(x), plain(x))
    read = ('in_channels', 'out_channels', 'kernel_size', 'stride', 'padding', 'dilation', 'groups')
    for name in (*read, 'transposed', 'output_padding'):
        assert getattr(kw, name) == getattr(plain, name), name


def test_the_class_itself_is_a_type_too():
    assert ConvModule(4, 6, 3, conv_cfg=dict(type=KWConv2d, norm='LN')).conv.attention.fc1.bias is not None


def resnet(kind, **kwargs):
    return build(kind, depth=18, base_channels=4, stem_channels=4, **kwargs)


def build(kind, **kwargs):
    with DefaultScope.overwrite_default_scope(kind.split('.')[0]):
        return MODELS.build(dict(type=kind, conv_cfg=KW, **kwargs))


BBOX_HEAD = dict(in_channels=4, conv_out_channels=4, fc_out_channels=8, num_classes=3)
MASK_HEAD = dict(num_convs=1, in_channels=4, conv_out_channels=4, num_classes=3)
REGNET = dict(w0=8, wa=8, wm=2, group_w=4, depth=6, bot_mul=1.0)
LEVELS = [(2, 4, 16, 16), (2, 8, 8, 8)]
IMAGES = (2, 3, 32, 32)
# A function that builds the module, and the shapes of its input.
MODULES = {
    'DepthwiseSeparable': (lambda: DepthwiseSeparableConvModule(4, 6, 3, padding=1, conv_cfg=KW), (2, 4, 8, 8)),
    'FPN': (lambda: FPN([4, 8], 4, 3, conv_cfg=KW, norm_cfg=dict(type='BN'), add_extra_convs='on_input'), LEVELS),
    'PAFPN': (lambda: PAFPN([4, 8], 4, 2, conv_cfg=KW), LEVELS),
    'RetinaHead': (lambda: RetinaHead(3, 4, stacked_convs=2, feat_channels=4, conv_cfg=KW), [LEVELS[0]] * 2),
    'FCOSHead': (lambda: FCOSHead(3, 4, stacked_convs=1, feat_channels=4, conv_cfg=KW, norm_cfg=None), [LEVELS[0]] * 5),
    'BBoxHead': (
        lambda: Shared4Conv1FCBBoxHead(
            conv_cfg=KW, cls_predictor_cfg=dict(type='KWLinear'), reg_predictor_cfg=dict(type='KWLinear'), **BBOX_HEAD
        ),
        (5, 4, 7, 7),
    ),
    'FCNMaskHead': (lambda: FCNMaskHead(conv_cfg=KW, predictor_cfg=KW, **MASK_HEAD), (5, 4, 14, 14)),
    'mmdet.ResNet': (lambda: resnet('mmdet.ResNet', frozen_stages=1), IMAGES),
    'mmpretrain.ResNet': (lambda: resnet('mmpretrain.ResNet', norm_eval=True), IMAGES),
    'mmpretrain.RegNet': (lambda: build('mmpretrain.RegNet', arch=REGNET), IMAGES),
}


@pytest.mark.parametrize('build_module, shape', MODULES.values(), ids=MODULES)
def test_a_module_is_built_initialised_and_trained(build_module, shape):
    torch.manual_seed(0)
    module = build_module()
    if hasattr(module, 'init_weights'):
        module.init_weights()
    module.train()
    x = torch.randn(shape) if isinstance(shape, tuple) else [torch.randn(level) for level in shape]
    sum(out.square().mean() for out in tensors(module(x))).backward()
    layers = [layer for layer in module.modules() if isinstance(layer, KWConvNd)]
    assert layers
    for layer in layers:
        assert not layer.cells.requires_grad or layer.cells.grad.isfinite().all()
