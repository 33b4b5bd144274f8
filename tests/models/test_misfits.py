"""Weights that do not fit are refused in all ways that OpenMMLab loads them."""

import pytest
import torch
from mmdet.apis import init_detector
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import load_checkpoint
from mmpretrain import get_model
from mmpretrain.models.backbones import ConvNeXt, MobileNetV2, ResNet

from mmkw import convert
from mmkw.layers import MisfitError
from mmkw.models import KWConvNeXt, KWLinearClsHead, KWMobileNetV2, KWResNet
from mmkw.plans import auto_plan
from running import TINY_CLASSIFIER, TINY_MASK_RCNN

NARROW = dict(stem_channels=16, base_channels=16)


def resnet(depth=18, **changes):
    return KWResNet(depth, **{**NARROW, **changes})


@pytest.fixture
def save(tmp_path):
    def _save(module, prefix='', **more):
        path = tmp_path / 'file.pth'
        torch.save(dict(state_dict={prefix + k: v for k, v in module.state_dict().items()}, **more), path)
        return str(path)

    return _save


R18 = r'a ResNet of depth 18, budget b = 1, 4 warehouses \(stage0 to stage3\)'
MBV2 = r'a MobileNetV2 of width 0.25, budget b = 1, 13 warehouses \(stem to stage6_depthwise\)'
CNX = r'a ConvNeXt of \[2, 2, 6, 2\] blocks, width 40, budget b = 1, 12 warehouses \(stem to stage3_pointwise\)'


@pytest.mark.parametrize(
    'network, other, found, expected',
    [
        (resnet, lambda: resnet(budget='2x'), 'a ResNet of depth 18, budget b = 2, 4 warehouses', R18),
        (resnet, lambda: resnet(34, budget='4x'), 'a ResNet of depth 34, budget b = 4, 4 warehouses', R18),
        (resnet, lambda: resnet(50, budget='1/2x'), 'a ResNet of depth 50, budget b = 0.5, 4 warehouses', R18),
        (resnet, lambda: resnet(budget='2x', sharing='none'), 'depth 18, budget b = 2, 19 warehouses', R18),
        (resnet, lambda: ResNet(18, **NARROW), r'a ResNet of depth 18 without dynamic layers \(a plain one\)', R18),
        (
            lambda: KWMobileNetV2('1x', 0.25),
            lambda: KWMobileNetV2('4x', 0.25),
            'a MobileNetV2 of width 0.25, budget b = 4, 19 warehouses',
            MBV2,
        ),
        (
            lambda: KWMobileNetV2('1x', 0.25),
            lambda: KWMobileNetV2('1x', 0.5),
            'a MobileNetV2 of width 0.5, budget b = 1, 13 warehouses',
            MBV2,
        ),
        (lambda: KWMobileNetV2('1x', 0.25), lambda: MobileNetV2(0.25), 'a MobileNetV2 of width 0.25 without', MBV2),
        (lambda: KWConvNeXt('atto'), lambda: KWConvNeXt('atto', '2x'), 'width 40, budget b = 2, 12 warehouses', CNX),
        (lambda: KWConvNeXt('atto'), lambda: ConvNeXt('atto'), 'blocks, width 40 without dynamic layers', CNX),
        (lambda: KWConvNeXt('atto'), resnet, 'a ResNet of depth 18, 4 warehouses', CNX),
    ],
)
def test_found_and_expected_are_named(save, network, other, found, expected):
    with pytest.raises(MisfitError, match=rf'it has .*{found} .*where the model has {expected}'):
        load_checkpoint(network(), save(other()))


@pytest.mark.parametrize('other', [lambda: resnet(budget='2x'), lambda: ResNet(18, **NARROW)])
def test_a_detector_of_another_budget(save, other):
    with pytest.raises(MisfitError, match='does not fit KWResNet: .*backbone.warehouses.stage0 is'):
        init_detector(str(TINY_MASK_RCNN), save(other(), 'backbone.'), device='cpu')


@pytest.mark.parametrize('other', [lambda: resnet(budget='2x'), lambda: ResNet(18, **NARROW)])
def test_a_classifier_of_another_budget(save, other):
    with pytest.raises(MisfitError, match='does not fit KWResNet: .*backbone.warehouses.stage0 is'):
        get_model(str(TINY_CLASSIFIER), pretrained=save(other(), 'backbone.'), device='cpu')


def test_a_published_file_for_a_whole_model(tmp_path):
    torch.save(dict(model=resnet().state_dict(), epoch=1), tmp_path / 'published.pth')
    with pytest.raises(MisfitError, match="it has nothing for it .*'model': .*PublishedPretrained.*PlainPretrained"):
        get_model(str(TINY_CLASSIFIER), pretrained=str(tmp_path / 'published.pth'), device='cpu')


@pytest.mark.parametrize(
    'state, message',
    [
        (lambda: ResNet(18, **NARROW).state_dict(), "init_cfg=dict.type='PlainPretrained'"),
        (
            lambda: {f'backbone.{key}': value for key, value in ResNet(18, **NARROW).state_dict().items()},
            "a ResNet of depth 18 without dynamic layers.*init_cfg=dict.type='PlainPretrained'",
        ),
        (
            lambda: {**{'warehouse_manager.weights.0': torch.zeros(1)}, **ResNet(18, **NARROW).state_dict()},
            "init_cfg=dict.type='PublishedPretrained', .*tools/convert_checkpoint.py",
        ),
        (lambda: dict(model={'warehouse_manager.weights.0': torch.zeros(1)}), 'convert_checkpoint.py'),
        (lambda: {f'backbone.{key}': value for key, value in resnet().state_dict().items()}, "prefix='backbone.'"),
    ],
    ids=['plain', 'plain detector', 'published', 'published, wrapped', 'detector'],
)
def test_pretrained_names_what_the_file_is_for(tmp_path, state, message):
    torch.save(state(), tmp_path / 'file.pth')
    backbone = resnet(init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'file.pth')))
    with pytest.raises(MisfitError, match=message):
        backbone.init_weights()


def test_pretrained_with_its_prefix_loads(save):
    source = resnet()
    init_cfg = dict(type='Pretrained', checkpoint=save(source, 'backbone.'), prefix='backbone.')
    backbone = resnet(init_cfg=init_cfg)
    backbone.init_weights()
    assert torch.equal(backbone.warehouses['stage3'], source.warehouses['stage3'])


def test_four_stages_fill_three():
    """Unused keys are allowed, as in the whole ecosystem: warehouses of three stages need no layer of the fourth."""
    stages = dict(num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2,))
    source, three = resnet(sharing='layer'), resnet(sharing='layer', **stages)
    three.load_state_dict(source.state_dict(), strict=False)
    name = 'stage2_layer3_1_conv2'
    assert torch.equal(three.warehouses[name], source.warehouses[name])


def test_a_network_converted_by_hand(save):
    with pytest.raises(MisfitError, match='does not fit ResNet: it has a network without dynamic layers'):
        plain = ResNet(18, **NARROW)
        load_checkpoint(convert(ResNet(18, **NARROW), auto_plan(plain)), save(plain))


def classifier(classes, kind):
    cfg = Config.fromfile(TINY_CLASSIFIER)
    cfg.model.head.update(type=kind, num_classes=classes)
    if kind is KWLinearClsHead:
        cfg.model.head.cell_inplane_ratio = 1 / 8
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(cfg.model)


@pytest.mark.parametrize('kind', ['LinearClsHead', KWLinearClsHead])
def test_a_head_for_another_number_of_classes_is_warned_of(save, capfd, kind):
    source, model = classifier(5, kind), classifier(2, kind)
    load_checkpoint(model, save(source))
    assert torch.equal(model.backbone.warehouses['stage3'], source.backbone.warehouses['stage3'])
    assert 'size mismatch for head.fc.bias' in capfd.readouterr().out


def test_but_a_head_without_its_warehouse_is_refused(save):
    with pytest.raises(MisfitError, match='does not fit KWLinearClsHead: .*head.warehouses.classifier is missing'):
        load_checkpoint(classifier(2, KWLinearClsHead), save(classifier(2, 'LinearClsHead')))
