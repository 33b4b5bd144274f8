"""Published checkpoints fill detectors and classifiers, both as downloaded and converted."""

import argparse
import hashlib
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import load_checkpoint

import official_figures
from mmkw.checkpoints import convert_published, published_to_mmkw

CONFIGS = Path(__file__).parents[2] / 'configs'
R18 = CONFIGS / 'imagenet' / 'kw1x_r18_in1k.py'


def state_of(name):
    state = official_figures.state_dict(official_figures.load(name), 'A')
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}


@pytest.fixture(scope='module')
def r18():
    return state_of('r18_1')


@pytest.fixture
def source(tmp_path, r18):
    averaged = {key: value + 1 for key, value in r18.items()}
    path = tmp_path / 'published.pth'
    torch.save(dict(model=r18, model_ema=averaged, optimizer={}, epoch=299, args=argparse.Namespace(lr=0.1)), path)
    return path


def test_a_classifier_loads_the_converted_file_whole(tmp_path, source, r18):
    written = convert_published(source, tmp_path / 'new' / 'mmkw.pth', R18)
    cfg = Config.fromfile(R18)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    checkpoint = load_checkpoint(model, str(written), map_location='cpu', strict=True)
    assert torch.equal(model.head.fc.weight, r18['fc.weight'])
    assert torch.equal(model.backbone.warehouses['stage3'], r18['warehouse_manager.weights.3'])
    assert checkpoint['meta']['source'] == 'published.pth'


def test_a_detector_starts_from_the_converted_file(tmp_path, source, r18):
    written = convert_published(source, tmp_path / 'mmkw.pth', R18)
    init_cfg = dict(type='Pretrained', checkpoint=str(written), prefix='backbone.')
    backbone = MODELS.build(dict(type='KWResNet', depth=18, init_cfg=init_cfg))
    backbone.init_weights()
    assert torch.equal(backbone.warehouses['stage1'], r18['warehouse_manager.weights.1'])
    assert torch.equal(backbone.bn1.weight, r18['bn1.weight'])


def test_averaged_weights(tmp_path, source, r18):
    written = convert_published(source, tmp_path / 'ema.pth', R18, ema=True)
    state = torch.load(written, weights_only=True)['state_dict']
    assert torch.equal(state['head.fc.bias'], r18['fc.bias'] + 1)


def test_averaged_weights_that_are_not_there(tmp_path, r18):
    torch.save(dict(model=r18), tmp_path / 'published.pth')
    with pytest.raises(ValueError, match=r"no averaged weights \(`model_ema`\), only \['model'\]"):
        convert_published(tmp_path / 'published.pth', tmp_path / 'ema.pth', R18, ema=True)


def test_publishing_puts_the_digest_into_the_name(tmp_path, source):
    written = convert_published(source, tmp_path / 'kw.pth', R18, publish=True)
    assert written.name == f'kw-{hashlib.sha256(written.read_bytes()).hexdigest()[:8]}.pth'
    assert not (tmp_path / 'kw.pth').exists()


@pytest.mark.parametrize('config', ['imagenet/kw4x_r18', 'imagenet/kw1x_r50', 'imagenet/kw1x_mbv2'])
def test_a_file_for_another_config_writes_nothing(tmp_path, source, config):
    with pytest.raises(ValueError, match='the checkpoint (is a ResNet of depth 18|has budget b = 1), the model'):
        convert_published(source, tmp_path / 'wrong.pth', CONFIGS / f'{config}_in1k.py')
    assert [path.name for path in tmp_path.iterdir()] == ['published.pth']


def test_a_classifier_of_another_size_is_named(tmp_path, source, r18):
    state = dict(r18, **{'fc.weight': torch.zeros(10, 512), 'fc.bias': torch.zeros(10)})
    torch.save(dict(model=state), source)
    with pytest.raises(ValueError, match=r'2 of another shape: head.fc.weight, head.fc.bias'):
        convert_published(source, tmp_path / 'mmkw.pth', R18)


@pytest.mark.parametrize(
    'figures, config, published, ours',
    [
        ('mbv2_100_1', 'kw_mbv2', 'features.4.conv.3.weight', 'layer3.0.conv.2.bn.weight'),
        ('mbv2_100_1', 'kw_mbv2', 'features.18.1.running_var', 'conv2.bn.running_var'),
        ('mbv2_100_1', 'kw_mbv2', 'warehouse_manager.weights.12', 'warehouses.stage6_depthwise'),
        ('cnx_t_1', 'kw_convnext_t', 'stages.2.8.pwconv1.bias', 'stages.2.8.pointwise_conv1.bias'),
        ('cnx_t_1', 'kw_convnext_t', 'warehouse_manager.weights.9', 'warehouses.stage2_pointwise'),
    ],
)
def test_a_detectors_config_starts_from_the_file_as_published(tmp_path, figures, config, published, ours):
    state = state_of(figures)
    torch.save(dict(model=state), tmp_path / 'published.pth')
    cfg = Config.fromfile(CONFIGS / f'mask_rcnn_{config}_1x_coco.py')
    init_default_scope(cfg.default_scope)
    cfg.model.backbone.init_cfg.checkpoint = str(tmp_path / 'published.pth')
    model = MODELS.build(cfg.model)
    model.init_weights()
    assert torch.equal(model.backbone.state_dict()[ours], state[published])


def test_another_width_is_named(tmp_path):
    torch.save(dict(model=state_of('mbv2_100_1')), tmp_path / 'published.pth')
    config = CONFIGS / 'imagenet' / 'kw1x_mbv2_w050_in1k.py'
    with pytest.raises(ValueError, match='is a MobileNetV2 of width 1, the model a MobileNetV2 of width 0.5'):
        convert_published(tmp_path / 'published.pth', tmp_path / 'mmkw.pth', config)


def test_the_bias_of_the_basis_form_may_be_flat_and_of_another_name():
    backbone = MODELS.build(dict(type='KWResNet', depth=50, budget='1/2x'))
    ours = {key: torch.randn(p.shape) for key, p in backbone.state_dict().items() if not key.endswith('temperature')}
    groups = [name for name in ours if name.startswith('warehouses.')]
    published = {}
    for key, value in ours.items():
        if key in groups:
            published[f'warehouse_manager.weights.{groups.index(key)}'] = value
        else:
            flat = key.endswith('basis_bias')
            published[key.replace('basis_bias', 'logit_bias')] = value.flatten() if flat else value
    converted = published_to_mmkw(published, backbone)
    assert all(torch.equal(converted[f'backbone.{key}'], value) for key, value in ours.items())
