"""Every figure of the methods that KernelWarehouse is compared with holds, in float64, through configs."""

import re
from contextlib import ExitStack
from typing import Any, NamedTuple, Optional

import pytest
import torch
from mmengine.registry import MODELS, DefaultScope

import official_figures
from mmkw import set_temperature
from mmkw.checkpoints.names import MobileNetV2Names, ResNetNames
from mmkw.layers import dynamic_layers

RESNET18 = dict(type='PlainResNet', depth=18)
MOBILENET_V2 = dict(type='mmpretrain.MobileNetV2')
# Modules of the backbones that give the published stage outputs.
RESNET_OUTPUTS = ('layer1', 'layer2', 'layer3', 'layer4')
MOBILENET_V2_OUTPUTS = ('layer1', 'layer2', 'layer3', 'layer5', 'conv2')


class Comparison(NamedTuple):
    """How a network of the figures is built here, and what its keys are.

    Args:
        method: The method of the backbone, and by default no method of the head.
        renamed: Ending of a published key, a regular expression -> ours.
        classifier: The method of the classifier.
        backbone: The plain backbone.
    """

    method: dict[str, Any]
    renamed: dict[str, str]
    classifier: Optional[dict[str, Any]] = None
    backbone: dict[str, Any] = RESNET18


COMPARISONS = {
    'odconv_r18_1x': Comparison(dict(type='ODConv', kernels=1), {}),
    'odconv_mbv2_100_1x': Comparison(dict(type='ODConv', kernels=1), {r'classifier\.1': 'fc'}, backbone=MOBILENET_V2),
    'dyconv_r18_4x': Comparison(
        dict(type='DYConv'),
        {r'kernels_weights': 'kernels', r'to_scores\.0\.': 'fc1.', r'to_scores\.2\.': 'fc2.'},
    ),
    'condconv_r18_8x': Comparison(dict(type='CondConv'), {r'^fc\.fc\.weight': 'fc.kernels'}, dict(type='CondConv')),
    'se_r18': Comparison(dict(type='SE'), {r'se\.fc\.0': 'bn2.gate.fc1', r'se\.fc\.2': 'bn2.gate.fc2'}),
    'cbam_r18': Comparison(
        dict(type='CBAM'),
        {
            r'cbam\.ChannelGate\.mlp\.1': 'bn2.gate.mlp.0',
            r'cbam\.ChannelGate\.mlp\.3': 'bn2.gate.mlp.2',
            r'cbam\.SpatialGate\.spatial\.conv': 'bn2.gate.conv',
            r'cbam\.SpatialGate\.spatial\.bn': 'bn2.gate.norm',
        },
    ),
    'eca_r18': Comparison(dict(type='ECA'), {r'eca\.conv': 'bn2.gate.conv'}),
    'cgc_r18': Comparison(
        dict(type='CGC'),
        {
            r'\.ce\.': '.attention.fc_context.',
            r'\.gd\.': '.attention.fc_in.',
            r'\.ci\.': '.attention.fc_mix.',
            r'\.gd2\.': '.attention.fc_out.',
            r'\.ce_bn\.': '.attention.norm_in.',
            r'\.ci_bn2\.': '.attention.norm_mix.',
            r'\.ci_bn\.': '.attention.norm_out.',
        },
    ),
    'dcd_r18': Comparison(
        dict(type='DCD'),
        {
            r'classifier\.0': 'fc',
            r'\.cls\.': '.',
            r'cls_([qp])': r'\1',
            r'(conv\d)\.conv\.': r'\1.',
            r'\.fc\.1\.fc\.0\.': '.attention.fc1.',
            r'\.fc\.0\.': '.attention.fc0.',
            r'\.(fc_phi|fc_scale)\.': r'.attention.\1.',
            r'(conv\d|fc)\.bn1': r'\1.norm_q',
            r'(conv\d|fc)\.bn2': r'\1.norm_phi',
        },
        dict(type='DCD'),
    ),
    'weightnet_r18': Comparison(
        dict(type='WeightNet'), {r'reduce\.': 'reduce.fc.', r'wn_fc1': 'fc1', r'wn_fc2\.weight': 'kernels'}
    ),
}


class Compared:
    """The figures of a method's network, and our network with the same weights."""

    def __init__(self, name: str) -> None:
        self.figures = official_figures.load(f'comparisons/{name}')
        self.comparison = COMPARISONS[name]
        self.model = self._build()
        self.is_resnet = self.comparison.backbone is RESNET18
        own = self.model.state_dict()
        state = {self.key(key): value for key, value in official_figures.state_dict(self.figures).items()}
        self.model.load_state_dict({key: value.reshape(own[key].shape) for key, value in state.items()})

    def _build(self) -> torch.nn.Module:
        width = 512 if self.comparison.backbone is RESNET18 else 1280
        head = dict(type='LinearClsHead', num_classes=1000, in_channels=width)
        if self.comparison.classifier is not None:
            head.update(type='ConvertedLinearClsHead', method=self.comparison.classifier)
        backbone = dict(type='ConvertedBackbone', backbone=self.comparison.backbone, method=self.comparison.method)
        neck = dict(type='GlobalAveragePooling')
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            cfg = dict(type='ImageClassifier', backbone=backbone, neck=neck, head=head)
            return MODELS.build(cfg).double()

    def key(self, published: str) -> str:
        """Our name of a published key."""
        key = published
        for pattern, ours in self.comparison.renamed.items():
            key = re.sub(pattern, ours, key)
        if len(self.figures['state_dict'][published]) == 5:
            key = re.sub('weight$', 'kernels', key)
        names = ResNetNames if self.is_resnet else MobileNetV2Names
        if key.startswith('fc.'):
            return f'head.{key}'
        return f'backbone.{names.rename(key, self.model.backbone)}'

    def run(self) -> dict[str, torch.Tensor]:
        """Stage outputs and logits, named as in the figures."""
        found = []
        with ExitStack() as hooks:
            for name in RESNET_OUTPUTS if self.is_resnet else MOBILENET_V2_OUTPUTS:
                module = self.model.backbone.get_submodule(name)
                hooks.callback(module.register_forward_hook(lambda _m, _inputs, out: found.append(out)).remove)
            logits = self.model.head(self.model.extract_feat(official_figures.network_input(self.figures)))
        return dict(zip(next(iter(self.figures['eval'].values())), [*found, logits]))


@pytest.fixture(scope='module', params=COMPARISONS)
def compared(request):
    return Compared(request.param)


def test_parameters(compared):
    assert sum(p.numel() for p in compared.model.parameters()) == compared.figures['params']


def test_layers(compared):
    expected = compared.figures['layers']
    lists_classifier = any(entry['name'] == 'fc' for entry in expected)
    found = dynamic_layers(compared.model if lists_classifier else compared.model.backbone).values()
    if not expected:  # gates, which replace no layer, one in each block
        assert len(found) == 8
        return
    assert len(found) == sum(entry.get('convs', 1) for entry in expected)
    if 'experts' not in expected[0]:  # there entries are blocks
        sizes = [(entry['in_channels'], entry['out_channels'], entry['kernel'], entry['stride']) for entry in expected]
        assert [(m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0]) for m in found] == sizes


def test_evaluation(compared):
    compared.model.eval()
    for temperature, expected in compared.figures['eval'].items():
        if temperature != 'none':
            set_temperature(compared.model, float(temperature))
        with torch.no_grad():
            outputs = compared.run()
        assert outputs.keys() == expected.keys()
        for name, out in outputs.items():
            official_figures.assert_statistics(out, expected[name], 1e-6)


def test_training(compared):
    expected = compared.figures['train']
    if expected['temperature'] is not None:
        set_temperature(compared.model, expected['temperature'])
    compared.model.train()
    outputs = compared.run()
    loss = official_figures.training_loss(outputs)
    loss.backward()

    assert loss.item() == pytest.approx(expected['loss'], rel=1e-6)
    for name, statistics in expected['features'].items():
        official_figures.assert_statistics(outputs[name], statistics, 1e-5)
    parameters = dict(compared.model.named_parameters())
    for key, statistics in expected['grads'].items():
        gradient = parameters[compared.key(key)].grad
        official_figures.assert_statistics(gradient.reshape(statistics['shape']), statistics, 1e-3)
