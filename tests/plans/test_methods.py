"""Where each method acts, and the parameters that this gives."""

import pytest
import torch
from mmdet.models.backbones import ResNet as MMDetResNet
from mmpretrain.models.backbones import MobileNetV2, ResNeXt
from torch import nn

from mmkw import convert
from mmkw.layers import dynamic_layers
from mmkw.models import ConvertedLinearClsHead, PlainResNet
from mmkw.plans import method_plan

NETWORKS = {
    'ResNet18': (lambda: PlainResNet(18), 512),
    'ResNet50': (lambda: PlainResNet(50), 2048),
    'MobileNetV2 1.0x': (lambda: MobileNetV2(1.0), 1280),
    'MobileNetV2 0.5x': (lambda: MobileNetV2(0.5), 1280),
}
# Parameters with a classifier of 1000 classes. Where a table was published with the figures they agree with it, but for
# CGC's (11.69 M there), WeightNet's (11.93 M) and CBAM's in ResNet50 (28.07 M).
PARAMETERS = {
    ('SE', ()): {'ResNet18': 11_776_552, 'ResNet50': 28_071_976},
    ('CBAM', ()): {'ResNet18': 11_779_392, 'ResNet50': 28_089_624},
    ('ECA', ()): {'ResNet18': 11_689_548, 'ResNet50': 25_557_118},
    ('CGC', ()): {'ResNet18': 11_721_791, 'ResNet50': 25_589_951},
    ('DCD', ()): {'ResNet18': 14_703_332, 'ResNet50': 29_835_056, 'MobileNetV2 1.0x': 5_720_028},
    ('WeightNet', ()): {'ResNet18': 11_915_192, 'ResNet50': 30_215_784},
    ('CondConv', ()): {'ResNet18': 81_345_120, 'ResNet50': 129_864_800, 'MobileNetV2 1.0x': 22_877_496},
    ('DYConv', ()): {
        'ResNet18': 45_472_052,
        'ResNet50': 100_878_072,
        'MobileNetV2 1.0x': 12_404_540,
        'MobileNetV2 0.5x': 4_567_338,
    },
    ('ODConv', (('kernels', 1),)): {
        'ResNet18': 11_943_944,
        'ResNet50': 28_635_112,
        'MobileNetV2 1.0x': 4_940_185,
        'MobileNetV2 0.5x': 2_425_537,
    },
    ('ODConv', (('kernels', 4),)): {
        'ResNet18': 44_901_640,
        'ResNet50': 90_670_888,
        'MobileNetV2 1.0x': 11_512_149,
        'MobileNetV2 0.5x': 4_435_501,
    },
}
ROWS = [(*method, network, count) for method, counts in PARAMETERS.items() for network, count in counts.items()]


def plan(network, method, log=None, **settings):
    return method_plan(network, method, log=log or (lambda text: None), **settings)


def converted(network, method, **settings):
    network.to('meta')
    with torch.device('meta'):
        return convert(network, plan(network, method, **settings))


def stage(blocks, layers, number):
    return {f'layer{number}.{i}.{layer}' for i in blocks for layer in layers}


@pytest.mark.parametrize('method, settings, name, expected', ROWS)
def test_parameters(method, settings, name, expected):
    make, width = NETWORKS[name]
    network = converted(make(), method, **dict(settings))
    with torch.device('meta'):
        dynamic = method in ('CondConv', 'DCD')
        head = ConvertedLinearClsHead(1000, width, dict(type=method)) if dynamic else nn.Linear(width, 1000)
    assert sum(p.numel() for part in (network, head) for p in part.parameters()) == expected


RESNET18_CONVS = set().union(*(stage((0, 1), ('conv1', 'conv2'), number) for number in (1, 2, 3, 4)))
SHORTCUTS = {f'layer{number}.0.downsample.0' for number in (2, 3, 4)}


@pytest.mark.parametrize('make', [PlainResNet, MMDetResNet])
@pytest.mark.parametrize(
    'method, expected',
    [
        ('ODConv', RESNET18_CONVS),
        ('DYConv', RESNET18_CONVS | SHORTCUTS),
        ('CondConv', stage((1,), ('conv1', 'conv2'), 3) | stage((0, 1), ('conv1', 'conv2'), 4)),
        ('WeightNet', RESNET18_CONVS | SHORTCUTS),
    ],
)
def test_places_in_a_resnet(make, method, expected):
    assert set(dynamic_layers(converted(make(18), method))) == expected


def test_with_avg_down_the_shortcut_is_the_convolution_after_the_pooling():
    layers = dynamic_layers(converted(PlainResNet(18, avg_down=True), 'WeightNet'))
    assert {name for name in layers if 'downsample' in name} == {
        f'layer{number}.0.downsample.1' for number in (2, 3, 4)
    }


@pytest.mark.parametrize('method', ['ODConv', 'DYConv'])
def test_places_in_a_mobilenet_v2(method):
    network = MobileNetV2(0.35)
    every = {name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)}
    assert set(dynamic_layers(converted(network, method))) == every - {'conv1.conv'}


def test_condconv_in_a_mobilenet_v2():
    layers = dynamic_layers(converted(MobileNetV2(0.35), 'CondConv'))
    blocks = ('layer5.1', 'layer5.2', 'layer6.0', 'layer6.1', 'layer6.2', 'layer7.0')
    assert list(layers) == [f'{block}.conv.{i}.conv' for block in blocks for i in range(3)]


def test_weightnet_in_a_mobilenet_v2():
    network = converted(MobileNetV2(0.35), 'WeightNet')
    layers = dynamic_layers(network)
    assert 'conv2.conv' not in layers and len(layers) == 2 + 16 * 3
    assert layers['layer1.0.conv.0.conv'].parts == 1  # depthwise, and the first of its block
    assert layers['layer1.0.conv.0.conv'].place == 0


def test_grouped_convolutions_of_a_resnext_are_converted():
    network = ResNeXt(50, groups=4, width_per_group=4, base_channels=8)
    assert network.layer4[2].conv2.groups == 4
    for method in ('ODConv', 'DYConv', 'CondConv', 'WeightNet'):
        assert any('layer4.2.conv2' in spec.layers for spec in plan(network, method).values())


@pytest.mark.parametrize('method', ['ODConv', 'DYConv'])
def test_any_other_network_is_converted_but_for_what_has_to_stay_plain(method):
    network = nn.Sequential(
        nn.Conv2d(3, 32, 3),
        nn.Conv2d(32, 32, 3),
        nn.Conv2d(32, 8, 1),
        nn.utils.parametrizations.weight_norm(nn.Conv2d(32, 32, 1)),
        nn.Flatten(),
        nn.Linear(32, 32),
        nn.Linear(32, 5),
    )
    texts = []
    (spec,) = plan(network, method, texts.append).values()
    assert spec.layers == ('1',)
    assert texts[0].startswith(f'{method}: 1 layers, 1\n')
    for line in (
        'plain: 0 (the first convolution)',
        'plain: 2 (narrower than 16 channels)',
        'plain: 3 (no dynamic layer is known for a Parametrized',
        f'plain: 5 ({method} replaces 2-d convolutions)',
    ):
        assert line in texts[0]


def test_what_is_skipped_is_named():
    texts = []
    (spec,) = plan(PlainResNet(18), 'DYConv', texts.append, skip=['layer1.*']).values()
    assert set(spec.layers) == {name for name in RESNET18_CONVS | SHORTCUTS if not name.startswith('layer1')}
    assert 'plain: layer1.0.conv1 (skipped, as asked)' in texts[0]
    with pytest.raises(ValueError, match="skip: 'layer9.*' fits no convolution"):
        plan(PlainResNet(18), 'DYConv', skip=['layer9.*'])


def test_a_block_whose_first_convolution_stays_plain_stays_plain():
    network = PlainResNet(18)
    network.layer1[0].conv1.register_forward_hook(lambda *args: None)
    network.layer1[1].conv2.register_forward_hook(lambda *args: None)
    texts = []
    specs = plan(network, 'WeightNet', texts.append)
    assert 'layer1.0' not in specs
    assert specs['layer1.1'].layers == ('layer1.1.conv1',)
    assert 'plain: layer1.0.conv2 (not a place of WeightNet)' in texts[0]
    assert 'plain: layer1.1.conv2 (has hooks)' in texts[0]


@pytest.mark.parametrize('method', ['CondConv', 'WeightNet'])
def test_blocks_that_are_not_known_are_asked_for(method):
    with pytest.raises(
        ValueError, match=f'{method} works a block at a time, and the blocks of a Sequential are not known'
    ):
        plan(nn.Sequential(nn.Conv2d(4, 4, 3)), method)


@pytest.mark.parametrize('method', ['ODConv', 'DYConv', 'WeightNet', 'SE', 'CBAM', 'ECA', 'CGC'])
def test_methods_that_are_not_for_classifiers_say_so(method):
    with pytest.raises(ValueError, match='ConvertedLinearClsHead'):
        ConvertedLinearClsHead(10, 32, dict(type=method))


def test_condconv_as_a_classifier_has_its_own_routing_and_no_bias():
    head = ConvertedLinearClsHead(10, 32, dict(type='CondConv', experts=3))
    assert {key: tuple(value.shape) for key, value in head.state_dict().items()} == {
        'fc.kernels': (3, 10, 32, 1),
        'fc.route.fc.weight': (3, 32),
        'fc.route.fc.bias': (3,),
    }
    assert head((torch.randn(2, 32),)).shape == (2, 10)
