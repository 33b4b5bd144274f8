"""ONNX files give in onnxruntime what the networks give in torch."""

import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmkw.checkpoints.files import build_model
from mmkw.export import export_onnx, exportable, network_to_export
from mmkw.layers import KWConv1d, KWConv2d, KWConv3d, KWLinear, Warehouse, Warehouses, set_temperature
from mmkw.layers.mixed import mixed
from mmkw.models import KWConvNeXt, KWMobileNetV2, KWResNet
from mmkw.models.padded import AdaptivePadding


class ShortResNet(KWResNet):
    """One block of each kind per stage, since exporting takes a second per layer."""

    arch_settings = {18: (KWResNet.arch_settings[18][0], (2, 1, 1, 1))}


class ShortMobileNetV2(KWMobileNetV2):
    """A MobileNetV2 in which one group has two blocks; (expansion, channels, blocks, stride) per group."""

    arch_settings = [[t, c, 2 if c == 24 else 1, s] for t, c, _, s in KWMobileNetV2.arch_settings]


BACKBONES = {
    'ResNet': lambda: ShortResNet(18, base_channels=8, stem_channels=8, out_indices=(0, 3)),
    'MobileNetV2': lambda: ShortMobileNetV2('1x', 0.25, out_indices=(1, 7)),
    'ConvNeXt': lambda: KWConvNeXt(dict(depths=[1, 1, 1, 1], channels=[8, 16, 24, 32])),
}
SIZE = (32, 32)


def backbone(kind):
    torch.manual_seed(0)
    network = BACKBONES[kind]()
    network.eval()
    set_temperature(network, 0.5)
    return network


def run(path, x):
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    return [torch.from_numpy(output) for output in session.run(None, {'input': x.numpy()})]


def close(found, expected):
    for theirs, ours in zip(found, expected):
        torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-5 * ours.abs().max().item())
    return len(found) == len(expected)


@pytest.mark.slow
@pytest.mark.parametrize('kind', BACKBONES)
def test_a_dynamic_batch_runs_at_every_batch(kind, tmp_path):
    network = backbone(kind)
    export_onnx(network, tmp_path / 'out.onnx', SIZE, batch=None)
    for batch in (1, 2, 5, 7):
        x = torch.randn(batch, 3, *SIZE)
        with torch.no_grad():
            assert close(run(tmp_path / 'out.onnx', x), network(x))


@pytest.mark.slow
@pytest.mark.parametrize('batch', [1, 2, 5])
@pytest.mark.parametrize('kind', BACKBONES)
def test_a_fixed_batch_runs_at_that_batch(kind, batch, tmp_path):
    network = backbone(kind)
    export_onnx(network, tmp_path / 'out.onnx', SIZE, batch=batch)
    x = torch.randn(batch, 3, *SIZE)
    with torch.no_grad():
        assert close(run(tmp_path / 'out.onnx', x), network(x))


# --- one layer, in a second or two --------------------------------------------------------------------------------


def layer():
    torch.manual_seed(0)
    return nn.Sequential(KWConv2d(3, 6, 3, 2, 1, groups=3, budget=2))


def in_basis_form(budget=1, **kwargs):
    """The second of three layers, so that its cells stand between those of the others."""
    kernel = (4, 4, 3, 3)
    warehouse = Warehouse(Warehouses(), 'shared', [kernel] * 3, budget)
    layers = [KWConv2d(4, 4, 3, warehouse=warehouse, nonlocal_basis_ratio=0.5, **kwargs) for _ in range(3)]
    return layers[1]


class EveryVariant(nn.Module):
    """One network with all layers, since much of the time of an export is spent once per file."""

    def __init__(self):
        super().__init__()
        below_one = dict(budget=0.5, cell_inplane_ratio=0.5, cell_outplane_ratio=0.5)
        self.on_images = nn.ModuleList(
            [
                KWConv2d(4, 6, 3, 2, 1, groups=2, budget=2, attention='softmax'),
                KWConv2d(4, 6, 3, padding='same', attention='sigmoid', start='all_to_one', norm='LN'),
                KWConv2d(4, 4, (3, 1), padding=1, padding_mode='reflect', groups=4, budget=2, start='several_to_one'),
                KWConv2d(4, 6, 3, padding=1, padding_mode='circular', dilation=2, budget=2, share_cells=False),
                KWConv2d(4, 6, 1, 2, padding=1, padding_mode='replicate', bias=False, start='none'),
                KWConv2d(4, 6, 3, spatial_partition=False, channel_partition=False),
                KWConv2d(4, 6, 3, **below_one),
                in_basis_form(),
                in_basis_form(2, padding=1, norm='LN', attention='softmax'),
                mixed(AdaptivePadding, KWConv2d, 'KWConv2dAdaptivePadding')(4, 6, 3, 2),
            ]
        )
        self.on_rows = nn.ModuleList(
            [KWConv1d(4, 6, 3, 2, 1, groups=2), KWConv1d(4, 4, 3, padding=1, padding_mode='circular', groups=4)]
        )
        self.linear = KWLinear(4, 6, norm='LN')

    def forward(self, x):
        rows = x.flatten(2)
        positions = x.permute(0, 2, 3, 1)
        return [
            *(layer(x) for layer in self.on_images),
            *(layer(rows) for layer in self.on_rows),
            self.linear(positions),
            self.linear(positions[:, 0, 0]),
        ]


def test_every_variant_of_a_layer_leaves_the_batch_open(tmp_path):
    torch.manual_seed(0)
    network = EveryVariant()
    for module in network.modules():
        if hasattr(module, 'basis_bias'):
            nn.init.normal_(module.basis_bias)
    set_temperature(network, 0.3)
    # The check against onnxruntime at batch 1, 2 and 5 is part of the export.
    _, relative = export_onnx(network, tmp_path / 'out.onnx', (7, 9), None)
    assert relative < 1e-4


def groups(path):
    nodes = onnx.load(path).graph.node
    return [a.i for node in nodes if node.op_type == 'Conv' for a in node.attribute if a.name == 'group']


def test_a_fixed_batch_is_one_grouped_convolution_and_a_dynamic_one_none(tmp_path):
    export_onnx(layer(), tmp_path / 'fixed.onnx', (8, 8), batch=2)
    export_onnx(layer(), tmp_path / 'dynamic.onnx', (8, 8), batch=None)
    assert groups(tmp_path / 'fixed.onnx') == [6] and groups(tmp_path / 'dynamic.onnx') == []


def test_the_differences_are_measured(tmp_path, monkeypatch):
    ordinary = onnxruntime.InferenceSession.run
    monkeypatch.setattr(
        onnxruntime.InferenceSession, 'run', lambda *args: [out + np.float32(0.25) for out in ordinary(*args)]
    )
    absolute, relative = export_onnx(layer(), tmp_path / 'out.onnx', (8, 8), tolerance=10)
    assert absolute == pytest.approx(0.25, rel=1e-3) and relative != absolute
    with pytest.raises(ValueError, match='differs from torch by up to 0.25 at batch 1'):
        export_onnx(layer(), tmp_path / 'new' / 'out.onnx', (8, 8))
    assert not list((tmp_path / 'new').iterdir())


class OneByOne(nn.Module):
    def forward(self, x):
        return torch.stack([sample + 1 for sample in x])


@pytest.mark.parametrize(
    'network, batch, shape, message',
    [
        (nn.Sequential(KWConv3d(3, 4, 3)), 1, (8, 8), "'0' is a KWConv3d"),
        (OneByOne(), None, (8, 8), 'OneByOne works for a batch of 5 only'),
        (nn.Conv2d(3, 4, 9), 1, (8, 8), 'does not run on an input of 8 x 8: .*size'),
        (nn.Conv2d(3, 4, 1), 0, (8, 8), 'batch must be at least 1, .* got 0'),
    ],
)
def test_what_cannot_be_exported_is_refused(network, batch, shape, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        export_onnx(network, tmp_path / 'out.onnx', shape, batch)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('package', ['onnxruntime', 'onnxscript'])
def test_a_missing_package_is_named(package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"exporting to ONNX needs {package} .*; pip install 'mmkw\[onnx\]'"):
        export_onnx(nn.Conv2d(3, 4, 1), tmp_path / 'out.onnx', (8, 8))


# --- networks of configs ------------------------------------------------------------------------------------------

CLASSIFIER = dict(
    type='ImageClassifier',
    backbone=dict(type='KWResNet', depth=18, base_channels=8, stem_channels=8, with_cp=True),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=4, in_channels=64),
)


@pytest.fixture
def classifier(tmp_path):
    config = Config(dict(default_scope='mmpretrain', model=CLASSIFIER))
    torch.manual_seed(0)
    model = build_model(config)
    set_temperature(model, 0.25)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'model.pth')
    return config, model, tmp_path / 'model.pth'


def test_a_classifier_gives_logits_and_its_backbone_features(classifier):
    config, model, path = classifier
    x = torch.randn(2, 3, *SIZE)
    assert torch.equal(network_to_export(config, path)(x), model(x))
    network = network_to_export(config, path, backbone=True)
    assert torch.equal(network(x)[0], model.backbone(x)[0])
    assert not any(getattr(module, 'with_cp', False) for module in network.modules())


def test_a_whole_detector_is_refused_with_the_reason(classifier):
    config = Config(dict(default_scope='mmdet', model=dict(type='MaskRCNN', backbone=CLASSIFIER['backbone'])))
    with pytest.raises(ValueError, match='a whole MaskRCNN cannot be exported: .*depends on the image.*--neck'):
        network_to_export(config, classifier[2])


def test_a_backbone_followed_by_its_neck(classifier):
    config, model, path = classifier
    x = torch.randn(2, 3, *SIZE)
    assert torch.equal(network_to_export(config, path, neck=True)(x)[0], model.neck(model.backbone(x))[0])
    del config.model['neck']
    with pytest.raises(ValueError, match='the ImageClassifier of .* has no neck'):
        network_to_export(config, path, neck=True)


LOAD = """
import sys, torch
x, expected = torch.load('values.pt')
with torch.no_grad():
    torch.testing.assert_close(torch.export.load('features.pt2').module()(x)[0], expected)
assert not {'mmkw', 'mmcv', 'mmengine'} & set(sys.modules)
"""


@pytest.mark.slow
def test_torch_export_needs_no_package_of_ours_to_run(classifier, tmp_path):
    config, model, path = classifier
    x = torch.randn(2, 3, *SIZE)
    network = network_to_export(config, path, neck=True)
    with torch.no_grad(), exportable(network, dynamic_batch=False):
        program = torch.export.export(network, (x,))
        torch.save((x, model.neck(model.backbone(x))[0]), tmp_path / 'values.pt')
    torch.export.save(program, tmp_path / 'features.pt2')
    subprocess.run([sys.executable, '-c', LOAD], cwd=tmp_path, check=True)


def test_a_checkpoint_of_another_model_is_refused(classifier):
    config, _, path = classifier
    config.model.head.num_classes = 5
    with pytest.raises(ValueError, match=r'model.pth does not fit the config:\n  2 of another shape: head.fc.weight'):
        network_to_export(config, path)
    config.model = dict(backbone=dict(type='KWResNet', depth=34, base_channels=8, stem_channels=8))
    with pytest.raises(ValueError, match='it has a ResNet of depth 18, .* the model has a ResNet of depth 34,'):
        network_to_export(config, path, backbone=True)
