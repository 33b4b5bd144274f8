"""ODConv's published files: the right one fits, every wrong one is refused with a reason."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

import official_figures
from mmkw import set_temperature
from mmkw.checkpoints import convert_published, published_to_mmkw, read_published
from mmkw.layers import ODConv2d
from mmkw.models import KWResNet

NARROW = dict(base_channels=16, stem_channels=16)


def odconv(kernels=1, method='ODConv', init_cfg=None, **backbone):
    plain = dict(type='PlainResNet', depth=18, **NARROW) | backbone
    settings = dict(kernels=kernels) if kernels else {}
    return MODELS.build(
        dict(type='ConvertedBackbone', backbone=plain, method=dict(type=method, **settings), init_cfg=init_cfg)
    )


def mobilenet(width):
    plain = dict(type='mmpretrain.MobileNetV2', widen_factor=width)
    return MODELS.build(dict(type='ConvertedBackbone', backbone=plain, method=dict(type='ODConv', kernels=1)))


def release(model):
    """A network's values under the release's names, with a classifier."""
    layers = {name: module for name, module in model.named_modules() if isinstance(module, ODConv2d)}
    state = {'fc.weight': torch.zeros(10, 128), 'fc.bias': torch.zeros(10)}
    for key, value in model.state_dict().items():
        name = key.split('.attention.')[0].removesuffix('.kernels')
        if name in layers and '.attention.' in key and value.dim() == 2:
            value = value[..., None, None]
        if not key.endswith('.tau'):
            state[key.replace('.kernels', '.weight') if name in layers else key] = value
    return state


def released_file(path, state, prefix='module.'):
    """A file as the release has them."""
    optimizer = dict(state={0: dict(momentum_buffer=torch.zeros(2))}, param_groups=[dict(lr=0.1, params=[0])])
    state = {prefix + key: value for key, value in state.items()}
    accuracy = torch.tensor(73.05)
    torch.save(dict(epoch=100, state_dict=state, acc=accuracy, best_acc=accuracy, optimizer=optimizer), path)
    return str(path)


CLASSIFIER = """
default_scope = 'mmpretrain'
custom_imports = dict(imports=['mmkw'], allow_failed_imports=False)
backbone = dict(type='ConvertedBackbone', backbone=dict(type=TYPE), method=dict(type='ODConv', kernels=1))
head = dict(type='LinearClsHead', num_classes=1000, in_channels=WIDTH)
model = dict(type='ImageClassifier', backbone=backbone, neck=dict(type='GlobalAveragePooling'), head=head)
"""


@pytest.mark.parametrize(
    'name, kind, width',
    [('odconv_r18_1x', "'PlainResNet', depth=18", '512'), ('odconv_mbv2_100_1x', "'MobileNetV2'", '1280')],
)
def test_a_converted_file_gives_the_published_figures(tmp_path, name, kind, width):
    figures = official_figures.load(f'comparisons/{name}')
    source = released_file(tmp_path / 'odconv.pth.tar', official_figures.state_dict(figures))
    config = tmp_path / 'config.py'
    config.write_text(CLASSIFIER.replace('TYPE', kind).replace('WIDTH', width))
    written = convert_published(source, tmp_path / 'mmkw.pth', config)
    cfg = Config.fromfile(config)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model).double()
    model.load_state_dict(torch.load(written, weights_only=True)['state_dict'])
    model.eval()
    for temperature, expected in figures['eval'].items():
        set_temperature(model, float(temperature))
        with torch.no_grad():
            logits = model.head(model.extract_feat(official_figures.network_input(figures)))
        official_figures.assert_statistics(logits, expected['logits'], 1e-6)


@pytest.mark.parametrize('prefix', ['module.', ''])
@pytest.mark.parametrize('backbone', [dict(kernels=1), dict(kernels=4, depth=50)])
def test_a_file_fills_a_backbone_as_it_is(tmp_path, monkeypatch, prefix, backbone):
    whole = odconv(**backbone)
    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, 'location_tag', lambda storage: 'cuda:0')  # as files of a GPU say
        path = released_file(tmp_path / 'odconv.pth', release(whole), prefix)
    other = odconv(**backbone, init_cfg=dict(type='PublishedPretrained', checkpoint=path))
    other.init_weights()
    assert all(torch.equal(value, whole.state_dict()[key]) for key, value in other.state_dict().items())


def test_a_network_without_its_last_stage_leaves_that_out():
    whole = odconv(depth=50)
    part = odconv(depth=50, num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2,))
    renamed = published_to_mmkw(release(whole), part)
    part.load_state_dict(
        {key.removeprefix('backbone.'): v for key, v in renamed.items() if key.startswith('backbone.')}
    )
    assert all(torch.equal(value, whole.state_dict()[key]) for key, value in part.state_dict().items())


def kw_release():
    state = KWResNet(18, **NARROW).state_dict()
    del state['warehouses.temperature']
    return {key.replace('warehouses.stage', 'warehouse_manager.weights.'): value for key, value in state.items()}


def plain_release():
    return MODELS.build(dict(type='PlainResNet', depth=18, **NARROW)).state_dict()


TAKE = '; take the file or the config that matches'
WRONG = {
    'another number of kernels': (
        lambda: release(odconv(1)),
        lambda: odconv(4),
        f'the checkpoint is of ODConv with 1 kernel, the model of ODConv with 4 kernels{TAKE}',
    ),
    'another depth': (
        lambda: release(odconv(1)),
        lambda: odconv(1, depth=50),
        'the checkpoint is a ResNet of depth 18, the model a ResNet of depth 50',
    ),
    'another backbone': (
        lambda: release(odconv(1)),
        lambda: mobilenet(0.25),
        'the checkpoint is a ResNet of depth 18, the model a MobileNetV2 of width 0.25',
    ),
    'for KernelWarehouse': (
        lambda: release(odconv(4)),
        lambda: KWResNet(18, **NARROW),
        f'the checkpoint is of ODConv with 4 kernels, the model of KernelWarehouse{TAKE}',
    ),
    'for a plain network': (
        lambda: release(odconv(4)),
        lambda: MODELS.build(dict(type='PlainResNet', depth=18, **NARROW)),
        f'the checkpoint is of ODConv with 4 kernels, the model of a plain network{TAKE}',
    ),
    'for a method without published files': (
        lambda: release(odconv(4)),
        lambda: odconv(method='DYConv'),
        f'the checkpoint is of ODConv with 4 kernels, the model of DYConv2d layers{TAKE}',
    ),
    'of KernelWarehouse': (
        kw_release,
        lambda: odconv(1),
        f'the checkpoint is of KernelWarehouse, the model of ODConv with 1 kernel{TAKE}',
    ),
    'of a plain network': (
        plain_release,
        lambda: odconv(1),
        f'the checkpoint is of a plain network, the model of ODConv with 1 kernel{TAKE}',
    ),
    'of a method that is not known': (
        lambda: {key.replace('channel_fc', 'other'): value for key, value in release(odconv(1)).items()},
        lambda: odconv(1),
        f'the checkpoint is of a method that is not known, the model of ODConv with 1 kernel{TAKE}',
    ),
}


@pytest.mark.parametrize('make_state, make_model, message', WRONG.values(), ids=WRONG)
def test_a_file_that_does_not_fit_is_named(make_state, make_model, message):
    with pytest.raises(ValueError) as caught:
        published_to_mmkw(make_state(), make_model())
    assert str(caught.value) == message


def test_another_width_is_named():
    state = official_figures.state_dict(official_figures.load('comparisons/odconv_mbv2_100_1x'))
    with pytest.raises(ValueError, match='is a MobileNetV2 of width 1, the model a MobileNetV2 of width 0.25'):
        published_to_mmkw(state, mobilenet(0.25))


def test_a_file_without_a_state_dict(tmp_path):
    torch.save(dict(epoch=3, state_dict={}), tmp_path / 'empty.pth')
    with pytest.raises(ValueError, match='nor one under `model` or `state_dict`'):
        read_published(tmp_path / 'empty.pth')
