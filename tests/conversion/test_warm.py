"""A warm start from a plain checkpoint is exact at temperature 1, has a known error below budget 1, or is refused."""

import math

import pytest
import torch
import torchvision
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from mmkw import convert, set_temperature
from mmkw.checkpoints import PlainPretrained, plain_to_mmkw, read_plain, warm_start_from_plain
from mmkw.conversion import warm_start
from mmkw.engine import LaunchError
from mmkw.engine.preflight import check_files, check_start_weights
from mmkw.layers import KWConvNd, temperature_ranges
from mmkw.models import KWConvNeXt, KWMobileNetV2, KWResNet
from mmkw.plans import WarehousePlan
from running import ROOT, run_tool

R18 = dict(depth=18, base_channels=8, stem_channels=8)
CONVNEXT = dict(depths=[1, 1, 1, 1], channels=[16, 32, 32, 64])
# KW type -> plain type, and the arguments of both.
FAMILIES = {
    'KWResNet': ('PlainResNet', R18),
    'KWMobileNetV2': ('mmpretrain.MobileNetV2', dict(widen_factor=0.25)),
    'KWConvNeXt': ('mmpretrain.ConvNeXt', dict(arch=CONVNEXT, layer_scale_init_value=0.5)),
}


def spread(model):
    """In float64, with all parameters and statistics away from their special starting values."""
    torch.manual_seed(0)
    with torch.no_grad():
        for value in (*model.parameters(), *model.buffers()):
            if value.is_floating_point() and value.dim():
                value.add_(0.1 * torch.rand_like(value) - 0.05)
    model.double().eval()
    return model


def plain_of(family):
    name, settings = FAMILIES[family]
    return spread(MODELS.build(dict(type=name, **settings)))


def started(model, state):
    model.double().eval()
    errors = warm_start_from_plain(model, state, 'the test')
    return model, errors


def assert_same(out, expected):
    assert expected.std() > 0
    torch.testing.assert_close(out, expected, rtol=1e-10, atol=1e-10)


def images():
    return torch.randn(2, 3, 64, 64, dtype=torch.double, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize('family', FAMILIES)
@pytest.mark.parametrize('budget', ['1x', '2x', '4x'])
@pytest.mark.parametrize('ratios', [(1.0, 1.0), (0.5, 1.0), (0.5, 0.5)])
def test_every_family_is_exact_from_budget_1_on(family, budget, ratios):
    plain = plain_of(family)
    settings = {'*': dict(cell_inplane_ratio=ratios[0], cell_outplane_ratio=ratios[1])}
    cfg = dict(type=family, budget=budget, warehouse_cfg=settings, **FAMILIES[family][1])
    model, errors = started(MODELS.build(cfg), plain.state_dict())
    assert set(errors.values()) == {0.0}
    with torch.no_grad():
        assert_same(model(images())[-1], plain(images())[-1])


@pytest.mark.parametrize('family', FAMILIES)
@pytest.mark.parametrize('budget', ['1x', '4x'])
def test_attentions_that_start_at_the_start_keep_the_plain_network_at_every_temperature(family, budget):
    plain = plain_of(family)
    error = {}
    for init in ('start', 'random'):
        cfg = dict(type=family, budget=budget, attention_init=init, **FAMILIES[family][1])
        model, _ = started(MODELS.build(cfg), plain.state_dict())
        set_temperature(model, 0)
        with torch.no_grad():
            expected = plain(images())[-1]
            error[init] = ((model(images())[-1] - expected).norm() / expected.std() / expected.numel() ** 0.5).item()
    # The attention function keeps a thousandth back, in each layer.
    assert error['start'] < 0.005 < 0.3 < error['random']


@pytest.mark.parametrize('family', FAMILIES)
def test_below_budget_1_the_error_is_that_of_the_kernels(family):
    plain = plain_of(family)
    model, errors = started(MODELS.build(dict(type=family, budget='1/2x', **FAMILIES[family][1])), plain.state_dict())
    kernels = {name: m.weight for name, m in plain.named_modules() if hasattr(m, 'weight')}
    lost, whole = {}, {}
    for name, layer in model.named_modules():
        if isinstance(layer, KWConvNd):
            key = f'warehouses.{layer.warehouse_name}'
            expected = kernels[name].reshape(layer.kernel_shape)
            difference = layer.kernel(torch.randn(2, layer.in_channels, 4, 4).double())[0] - expected
            lost[key] = lost.get(key, 0) + difference.square().sum().item()
            whole[key] = whole.get(key, 0) + expected.square().sum().item()
    assert errors == {key: pytest.approx(math.sqrt(lost[key] / whole[key]), abs=1e-12) for key in lost}
    assert any(0.5 < error < 0.9 for error in errors.values())


def test_cells_without_a_mixture_and_attentions_stay_as_they_are():
    model = KWResNet(budget='2x', **R18)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    warm_start(model, plain_of('KWResNet').state_dict())
    after = model.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in before if '.attention.' in key)
    for name, _ in model.warehouses.named_parameters():
        changed = (after[f'warehouses.{name}'] != before[f'warehouses.{name}']).flatten(1).any(1)
        assert changed.tolist() == [True, False] * (len(changed) // 2)


def converted(method, **settings):
    plain = dict(type='PlainResNet', **R18)
    return MODELS.build(dict(type='ConvertedBackbone', backbone=plain, method=dict(type=method), **settings))


@pytest.mark.parametrize('method', ['ODConv', 'DYConv', 'DCD', 'CGC', 'WeightNet'])
def test_other_methods_are_exact_at_the_start_of_their_schedule(method):
    plain = plain_of('KWResNet')
    model, errors = started(spread(converted(method)), plain.state_dict())
    assert set(errors.values()) == {0.0}
    assert {float(layer.temperature) for layer, _ in temperature_ranges(model).values()} <= {30.0}
    with torch.no_grad():
        assert_same(model(images())[-1], plain(images())[-1])


@pytest.mark.parametrize(
    'method, place',
    [
        ('CondConv', "'layer3.1.conv1' cannot start as a plain layer: CondConv2d has no start"),
    ],
)
def test_a_method_without_a_plain_start_is_refused_early_and_changes_nothing(tmp_path, method, place):
    torch.save(plain_of('KWResNet').state_dict(), tmp_path / 'plain.pth')
    model = converted(method, init_cfg=dict(type='PlainPretrained', checkpoint=str(tmp_path / 'plain.pth')))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(LaunchError, match=place):
        check_start_weights(model)
    with pytest.raises(ValueError, match=f'cannot start the model: {place}'):
        warm_start_from_plain(model, read_plain(str(tmp_path / 'plain.pth')), 'the file')
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def resnet(depth=18):
    model = getattr(torchvision.models, f'resnet{depth}')(num_classes=10)
    parts = (model.conv1, model.bn1, model.relu, model.maxpool, model.layer1, model.layer2, model.layer3, model.layer4)
    return model, nn.Sequential(*parts), KWResNet(depth)


def mobilenet():
    model = torchvision.models.mobilenet_v2(num_classes=10, width_mult=0.5)
    return model, model.features, KWMobileNetV2(widen_factor=0.5)


def convnext():
    setting = torchvision.models.convnext.CNBlockConfig
    widths = [*CONVNEXT['channels'], None]
    blocks = [setting(*widths[i : i + 2], 1) for i in range(4)]
    model = torchvision.models.ConvNeXt(blocks, num_classes=10)
    features = nn.Sequential(model.features, model.avgpool, model.classifier[0], nn.Flatten())
    return model, features, KWConvNeXt(CONVNEXT)


@pytest.mark.parametrize('make', [resnet, mobilenet, convnext])
def test_torchvisions_names(make):
    model, features, backbone = make()
    spread(model)
    backbone, _ = started(backbone, model.state_dict())
    with torch.no_grad():
        assert_same(backbone(images())[-1], features(images()))
    head = {key: tuple(v.shape) for key, v in plain_to_mmkw(model.state_dict(), backbone).items() if 'head' in key}
    assert head == {'head.fc.weight': (10, len(features(images())[0])), 'head.fc.bias': (10,)}


def test_a_detectors_convnext_keeps_norms_that_classifiers_have_not():
    model, _, _ = convnext()
    backbone = KWConvNeXt(CONVNEXT, out_indices=(0, 1, 2, 3), gap_before_final_norm=False)
    backbone, _ = started(backbone, spread(model).state_dict())
    assert (backbone.norm3.weight == 1).all()


@pytest.mark.parametrize('prefix', ['', 'backbone.', 'module.backbone.'])
@pytest.mark.parametrize('key', [None, 'state_dict', 'model'])
def test_mmpretrains_and_mmdets_files(tmp_path, prefix, key):
    plain = plain_of('KWResNet')
    state = {f'{prefix}{name}': value for name, value in plain.state_dict().items()}
    if prefix:
        state[f'{prefix}neck.conv.weight'.replace('backbone.', '')] = torch.zeros(1)
    torch.save({key: state, 'meta': {}} if key else state, tmp_path / 'plain.pth')
    model, _ = started(KWResNet(**R18), read_plain(str(tmp_path / 'plain.pth')))
    with torch.no_grad():
        assert_same(model(images())[-1], plain(images())[-1])


def test_init_cfg_survives_the_initialisation_of_the_children(tmp_path):
    plain = plain_of('KWResNet')
    torch.save(plain.state_dict(), tmp_path / 'plain.pth')
    init_cfg = dict(type='PlainPretrained', checkpoint=str(tmp_path / 'plain.pth'))
    for cfg in (
        dict(type='KWResNet', init_cfg=init_cfg, **R18),
        dict(type='KWBackbone', backbone=dict(type='PlainResNet', **R18), init_cfg=init_cfg),
    ):
        model = MODELS.build(cfg).double()
        model.init_weights()
        model.eval()
        with torch.no_grad():
            assert_same(model(images())[-1], plain(images())[-1])


@pytest.mark.parametrize('name, file', [('resnet50', 'resnet50-'), ('convnext_tiny', 'convnext_tiny-')])
def test_torchvisions_addresses(monkeypatch, name, file):
    def load(url, **kwargs):
        assert kwargs == dict(map_location='cpu', weights_only=True)
        assert url.startswith(f'https://download.pytorch.org/models/{file}')
        return {'conv1.weight': torch.zeros(1)}

    monkeypatch.setattr(torch.hub, 'load_state_dict_from_url', load)
    assert list(read_plain(f'torchvision://{name}')) == ['conv1.weight']


def no_network(*args, **kwargs):
    raise OSError('no route to host')


UNREADABLE = {
    'a file that is not there': ('none.pth', FileNotFoundError, 'checkpoint none.pth does not exist; give the path'),
    'weights that torchvision has not': ('torchvision://resnet51', ValueError, "torchvision has no weights 'resnet51'"),
    'another scheme': ('ftp://resnet', ValueError, 'give a path, torchvision://NAME or https'),
    'no network': ('torchvision://resnet50', ValueError, r'fetched from https.*\(no route to host\); download it on'),
}


@pytest.mark.parametrize('checkpoint, kind, message', UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read(monkeypatch, checkpoint, kind, message):
    monkeypatch.setattr(torch.hub, 'load_state_dict_from_url', no_network)
    with pytest.raises(kind, match=message):
        read_plain(checkpoint)


@pytest.mark.parametrize('kw, plain', [(18, 34), (34, 18), (50, 18)])
def test_another_depth_is_named_and_changes_nothing(kw, plain):
    model = KWResNet(kw, base_channels=8, stem_channels=8)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = MODELS.build(dict(type='PlainResNet', depth=plain, base_channels=8, stem_channels=8)).state_dict()
    with pytest.raises(ValueError, match=f'it is a ResNet of depth {plain}, the model a ResNet of depth {kw}'):
        warm_start_from_plain(model, state, 'the file')
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_keys_that_do_not_fit():
    model = convert(nn.Sequential(nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)), {'a': WarehousePlan(['0'])})
    state = {'0.weight': torch.zeros(4, 2, 1, 1), '0.bias': torch.zeros(4), '1.weight': torch.zeros(4, 4)}
    state['more'] = torch.zeros(1)
    with pytest.raises(ValueError, match='1 missing: 1.bias\n  1 unexpected: more\n  1 of another shape: 0.weight'):
        warm_start(model, state)


def test_a_start_without_single_cells_is_refused():
    model = KWResNet(start='all_to_one', **R18)
    with pytest.raises(ValueError, match="start='all_to_one' assigns no single cell"):
        warm_start(model, plain_of('KWResNet').state_dict())


def test_a_plain_network_is_refused():
    with pytest.raises(ValueError, match='Linear has no dynamic layer to start warm'):
        warm_start(nn.Linear(2, 2), {})


def config(checkpoint):
    backbone = dict(type='KWResNet', **R18, init_cfg=dict(type='PlainPretrained', checkpoint=checkpoint))
    return Config(dict(model=dict(backbone=backbone)))


def test_a_launch_names_the_missing_file():
    with pytest.raises(LaunchError, match='missing: none.pth'):
        check_files(config('none.pth'))
    check_files(config('torchvision://resnet18'))


def test_a_launch_refuses_a_checkpoint_of_another_depth(tmp_path):
    state = MODELS.build(dict(type='PlainResNet', depth=34, base_channels=8, stem_channels=8)).state_dict()
    torch.save(state, tmp_path / 'r34.pth')
    model = nn.Sequential(MODELS.build(config(str(tmp_path / 'r34.pth')).model.backbone))
    with pytest.raises(LaunchError, match='KWResNet: checkpoint .*r34.pth cannot start .* depth 34, .* depth 18'):
        check_start_weights(model)


def test_repr():
    assert repr(PlainPretrained('a.pth')) == "PlainPretrained(checkpoint='a.pth')"


@pytest.mark.slow
def test_file_to_file(tmp_path):
    model = spread(torchvision.models.resnet18())
    torch.save({key: value.float() for key, value in model.state_dict().items()}, tmp_path / 'r18.pth')
    config_file = ROOT / 'configs' / 'imagenet' / 'kw1x_r18_in1k.py'
    output = run_tool('warm_start.py', 'r18.pth', 'new/warm.pth', '--config', config_file, cwd=tmp_path)
    assert output.splitlines()[-1] == 'wrote new/warm.pth'
    cfg = Config.fromfile(config_file)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        classifier = MODELS.build(cfg.model)
    classifier.load_state_dict(torch.load(tmp_path / 'new' / 'warm.pth', weights_only=True)['state_dict'])
    classifier.double().eval()
    model.float().double()
    with torch.no_grad():
        assert_same(classifier(images()), model(images()))
    assert 'depth 18, the model a ResNet of depth 50' in run_tool(
        'warm_start.py',
        'r18.pth',
        'wrong.pth',
        '--config',
        ROOT / 'configs' / 'mask_rcnn_kw_r50_1x_coco.py',
        cwd=tmp_path,
        status=1,
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ['new', 'r18.pth']
