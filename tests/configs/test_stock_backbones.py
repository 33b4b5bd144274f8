"""Every backbone of MMPretrain's and MMDetection's own configs builds with its type swapped for the KW class."""

import copy
import functools
from pathlib import Path
from unittest import mock

import mmdet
import mmpretrain
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS

import mmkw.models  # noqa: F401 - registers the KW classes

KW = {'ResNet': 'KWResNet', 'MobileNetV2': 'KWMobileNetV2', 'ConvNeXt': 'KWConvNeXt'}
# What stock configs ask for and KW classes refuse, and the error's sentence.
REFUSED = {
    **{
        name: f"KWResNet is mmpretrain's ResNet, which has no {name}; for mmdet's use dict(type='KWBackbone', "
        "backbone=dict(type='mmdet.ResNet', ...)), which leaves plain what cannot be moved into a warehouse"
        for name in ('dcn', 'plugins')
    },
    'conv_cfg': "the plan names 'layer1.0.conv2', a ConvWS2d; only nn.Conv1d, nn.Conv2d, nn.Conv3d and nn.Linear "
    'themselves can be replaced, and what mmkw.layers.register_layer named: build the network of those '
    '(in OpenMMLab without a conv_cfg), or leave the layer out of the plan',
}


def dicts(value):
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    for item in value if isinstance(value, (list, tuple)) else ():
        yield from dicts(item)


@pytest.fixture(scope='module')
def backbones():
    """The different backbones of all stock configs, whatever weights they start from."""
    with mock.patch.object(Config, '_file2dict', functools.cache(Config._file2dict)):  # each base is read once
        return list(read_backbones())


def read_backbones():
    found = set()
    for library in (mmpretrain, mmdet):
        for path in sorted((Path(library.__file__).parent / '.mim' / 'configs').rglob('*.py')):
            if 'backbone' not in path.read_text():
                continue  # it has the backbone of the config that it inherits from
            try:
                cfg = Config.fromfile(path, import_custom_modules=False).to_dict()
            except (KeyError, RuntimeError):  # some configs do not load, but none of these families
                continue
            for settings in dicts(cfg):
                kind = settings.get('type')
                if isinstance(kind, str) and kind.split('.')[-1] in KW:
                    arguments = {name: value for name, value in settings.items() if name not in ('type', 'init_cfg')}
                    key = kind.split('.')[-1], repr(sorted(arguments.items()))
                    if key not in found:
                        found.add(key)
                        yield key[0], settings


def build(settings, **swapped):
    # The meta device has no values, but mmpretrain reads its stochastic depth rates from a tensor.
    on_cpu = functools.partial(torch.linspace, device='cpu')
    with torch.device('meta'), mock.patch('torch.linspace', on_cpu):
        return MODELS.build({**copy.deepcopy(settings), **swapped})


def refused(settings):
    return next((name for name in REFUSED if settings.get(name)), None)


def test_all_kinds_are_found(backbones):
    assert {kind for kind, _ in backbones} == set(KW)
    assert {refused(settings) for _, settings in backbones} == {None, *REFUSED}
    assert len(backbones) > 60
    styles = {settings.get('style') for _, settings in backbones}
    norms = {settings.get('norm_cfg', {}).get('type') for _, settings in backbones}
    assert 'caffe' in styles and {'BN', 'SyncBN', 'GN'} <= norms


def test_they_build_or_are_refused_in_one_sentence(backbones):
    said = []
    for kind, settings in backbones:
        try:
            build(settings, type=KW[kind])
            said.append((None, settings))
        except Exception as error:
            said.append((f'{type(error).__name__}: {error}', settings))
    expected = [f'ValueError: {REFUSED[refused(s)]}' if refused(s) else None for _, s in backbones]
    assert [(found, s) for (found, s), sentence in zip(said, expected) if found != sentence] == []


def test_what_mmdets_resnet_has_besides_goes_through_kw_backbone(backbones):
    special = {}
    for _, settings in backbones:
        if refused(settings) in ('dcn', 'plugins') and settings['depth'] == 50:
            plugins = [plugin['cfg']['type'] for plugin in settings.get('plugins', [])]
            special[repr((plugins, settings.get('dcn', {}).get('type')))] = settings
    assert len(special) == 5  # two kinds each, and one that has both
    for settings in special.values():
        backbone = dict(settings, type='mmdet.ResNet', init_cfg=None)
        assert hasattr(build(dict(type='KWBackbone', backbone=backbone)), 'warehouses')


NOTHING = dict(dcn=None, stage_with_dcn=(False, False, False, False), plugins=None, pretrained=None)


@pytest.mark.parametrize(
    'settings',
    [
        dict(type='KWResNet', depth=18, **NOTHING),
        dict(type='KWMobileNetV2', pretrained=None),
        dict(type='KWConvNeXt', linear_pw_conv=False),
    ],
    ids=lambda settings: settings['type'],
)
def test_arguments_that_ask_for_nothing(settings):
    assert hasattr(build(settings), 'warehouses')


@pytest.mark.parametrize(
    'settings, message',
    [
        (dict(type='KWResNet', depth=18, stage_with_dcn=(False, True)), "mmpretrain's ResNet, which has no stage_with"),
        (
            dict(type='KWResNet', depth=18, pretrained='torchvision://resnet18'),
            r"give it init_cfg=dict\(type='PlainPretrained', checkpoint='torchvision://resnet18'\)",
        ),
        (dict(type='KWMobileNetV2', pretrained='a.pth'), "KWMobileNetV2 has no pretrained='a.pth'"),
        (dict(type='KWConvNeXt', linear_pw_conv=True), 'linear_pw_conv=True: pointwise layers of KWConvNeXt are 1x1'),
    ],
)
def test_arguments_that_ask_for_something(settings, message):
    with pytest.raises(ValueError, match=message):
        build(settings)
