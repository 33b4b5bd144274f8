"""Layers begin to train at a temperature that suits the weights they start from, or the user hears of it."""

import pytest
import torch
from mmengine.registry import MODELS
from torch import nn

from mmkw import set_temperature
from mmkw.engine import LaunchError, TemperatureHook
from mmkw.engine.start_temperature import check_start_temperature
from mmkw.layers import KWConv2d

HOOK = TemperatureHook(end=1)


def network(method='KernelWarehouse', **settings):
    plain = dict(type='PlainResNet', depth=18, base_channels=8, stem_channels=8)
    backbone = dict(type='ConvertedBackbone', backbone=plain, method=dict(type=method, **settings.pop('options', {})))
    return nn.Sequential(MODELS.build(dict(backbone, **settings)))


def started(kind, method='KernelWarehouse', checkpoint='torchvision://resnet18', **settings):
    return network(method, init_cfg=dict(type=kind, checkpoint=checkpoint, **settings))


@pytest.fixture
def file(tmp_path):
    """Write a checkpoint of the network that was made at a temperature."""

    def write(temperature, prefix=''):
        model = network()
        set_temperature(model, temperature)
        path = tmp_path / 'weights.pth'
        torch.save(dict(state_dict={prefix + key: value for key, value in model.state_dict().items()}), path)
        return str(path)

    return write


@pytest.fixture
def warnings(messages):
    """What the check warns of."""

    def check(model, *hooks, **settings):
        before = len(messages)
        check_start_temperature(model, hooks, **settings)
        return '\n'.join(messages[before:])

    return check


@pytest.mark.parametrize('method, start', [('KernelWarehouse', 1), ('ODConv', 30), ('DYConv', 30)])
def test_plain_weights_need_a_hook(method, start, warnings):
    model = started('PlainPretrained', method)
    with pytest.raises(LaunchError, match=f"PlainPretrained .* at temperature {start}, .*add dict.type='Temperature"):
        check_start_temperature(model, [])
    assert warnings(model, HOOK) == ''


@pytest.mark.parametrize('hooks', [[], [HOOK]])
def test_a_method_without_a_temperature(hooks, warnings):
    assert warnings(started('PlainPretrained', 'CGC'), *hooks) == warnings(network('CGC'), *hooks) == ''


def test_a_file_of_a_warm_start_needs_a_hook(file, warnings):
    path = file(1.0)
    with pytest.raises(LaunchError, match='load_from .*weights.pth. starts the KWConv2d at temperature 1'):
        check_start_temperature(network(), [], path)
    assert warnings(network(), HOOK, load_from=path) == ''


def test_a_new_neck_beside_a_trained_backbone_needs_a_hook_of_its_own(warnings):
    model = nn.Sequential(*started('PublishedPretrained'), KWConv2d(8, 8, 1))
    warning = warnings(model)
    assert warning.startswith('1: no checkpoint fills') and "TemperatureHook', end=..., part='1')" in warning
    assert "give it the part of the model that is new (part='neck')" in warnings(model, HOOK)
    assert warnings(model, TemperatureHook(end=1, part='1')) == ''
    assert '1: no checkpoint fills' in warnings(model, TemperatureHook(end=1, start_value=0, part='0'))


def test_a_hook_of_an_unknown_part(warnings):
    with pytest.raises(LaunchError, match="part='neck'.: the model has 0, and no such part"):
        warnings(network(), TemperatureHook(end=1, part='neck'))


@pytest.mark.parametrize('method, end', [('KernelWarehouse', 0), ('DYConv', 1)])
def test_new_layers_without_a_hook(method, end, warnings):
    assert f'It is {end} from the first step on' in warnings(network(method))
    assert warnings(network(method), HOOK) == ''


def test_new_attentions_that_begin_at_the_start_assignment_need_no_hook(warnings):
    assert warnings(network(options=dict(attention_init='start'))) == ''


def test_published_weights_need_no_hook(warnings):
    model = started('PublishedPretrained')
    assert warnings(model) == ''
    assert 'trained at temperature 0, and the TemperatureHook begins at 1 again' in warnings(model, HOOK)
    assert warnings(model, TemperatureHook(end=1, start_value=0)) == ''


@pytest.mark.parametrize('how', ['load_from', 'Pretrained'])
def test_weights_of_a_training_need_no_hook(how, file, warnings):
    path = file(0.0, prefix='' if how == 'load_from' else 'part.')
    if how == 'load_from':
        model, settings = network(), dict(load_from=path)
    else:
        model, settings = started(how, checkpoint=path, prefix='part.0.'), {}
    assert warnings(model, **settings) == ''
    assert f'{how} ({path}) fills the KWConv2d' in warnings(model, HOOK, **settings)


def test_weights_of_a_training_that_stopped_on_the_way(file, warnings):
    assert warnings(network(), load_from=file(0.5)) == warnings(network(), HOOK, load_from=file(0.5)) == ''


def test_a_file_of_another_part_leaves_what_init_cfg_fills(tmp_path):
    torch.save(dict(state_dict={'head.weight': torch.zeros(1)}), tmp_path / 'head.pth')
    with pytest.raises(LaunchError, match='PlainPretrained'):
        check_start_temperature(started('PlainPretrained'), [], str(tmp_path / 'head.pth'))
