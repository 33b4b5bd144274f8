"""The number of channels of a network's images is read from the network."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn

import export_onnx as export_tool
import model_info as info_tool
from mmkw.inspection import image_channels
from mmkw.layers import KWLinear

CONVNEXT = dict(type='KWConvNeXt', arch=dict(depths=[1, 1], channels=[8, 16]), out_indices=(1,))
BACKBONES = {
    'ResNet': dict(type='KWResNet', depth=18, base_channels=8, stem_channels=8),
    'deep stem': dict(type='KWResNet', depth=18, base_channels=8, stem_channels=8, deep_stem=True),
    'ConvNeXt, whose stem is a KW layer': CONVNEXT,
    'a converted backbone': dict(
        type='KWBackbone', backbone=dict(type='mmpretrain.RegNet', arch='regnetx_400mf', in_channels=0)
    ),
    'patches': dict(
        type='mmpretrain.VisionTransformer',
        arch=dict(embed_dims=8, num_layers=1, num_heads=1, feedforward_channels=8),
        img_size=32,
    ),
}


@pytest.mark.parametrize('channels', [1, 3, 4])
@pytest.mark.parametrize('cfg', BACKBONES.values(), ids=BACKBONES)
def test_backbones(cfg, channels):
    cfg = Config(cfg)
    (cfg.backbone if 'backbone' in cfg else cfg).in_channels = channels
    backbone = MODELS.build(cfg)
    backbone.eval()
    assert image_channels(backbone, backbone, (32, 32)) == channels
    assert not any(module._forward_pre_hooks for module in backbone.modules())


class Rearranged(nn.Module):
    """Cuts images into patches before its first layer, as YOLOX's stem and some ViTs do."""

    def __init__(self, channels, linear):
        super().__init__()
        self.unused = nn.Conv2d(7, 7, 1)  # the first of the modules, but no image reaches it
        self.linear, self.layer = linear, KWLinear(4 * channels, 4) if linear else nn.Conv2d(4 * channels, 4, 1)

    def forward(self, x):
        x = nn.functional.pixel_unshuffle(x, 2)
        return self.layer(x.flatten(2).transpose(1, 2) if self.linear else x)


@pytest.mark.parametrize('linear', [False, True])
@pytest.mark.parametrize('channels', [1, 3, 4])
def test_the_first_layer_that_is_reached_counts_and_so_does_what_comes_before(channels, linear):
    network = Rearranged(channels, linear)
    assert image_channels(network, network, (8, 8)) == channels


@pytest.mark.parametrize('network', [nn.ReLU(), nn.Sequential(nn.Softmax(5), nn.Conv2d(4, 4, 1))])
def test_a_network_that_does_not_tell(network):
    assert image_channels(network, network, (8, 8)) == 3


# --- tools --------------------------------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path, request):
    model = dict(
        type='ImageClassifier',
        backbone=dict(CONVNEXT, in_channels=request.param),
        head=dict(type='LinearClsHead', num_classes=2, in_channels=16),
    )
    cfg = Config(dict(default_scope='mmpretrain', model=model))
    cfg.dump(tmp_path / 'config.py')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        torch.save(MODELS.build(cfg.model).state_dict(), tmp_path / 'model.pth')
    return tmp_path


@pytest.mark.parametrize('config', [1, 4], indirect=True)
def test_model_info(config, monkeypatch, capsys):
    monkeypatch.setattr('sys.argv', ['model_info.py', str(config / 'config.py'), '--shape', '32'])
    info_tool.main()
    assert 'one image of 32 x 32' in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize('config', [1], indirect=True)
def test_export_onnx(config, monkeypatch, capsys):
    arguments = [str(config / name) for name in ('config.py', 'model.pth', 'out.onnx')]
    monkeypatch.setattr('sys.argv', ['export_onnx.py', *arguments, '--shape', '32', '32'])
    export_tool.main()
    assert 'wrote' in capsys.readouterr().out
