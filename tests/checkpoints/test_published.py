"""Reading published checkpoints: the right one fits, every wrong one is refused with a reason."""

import argparse
import pickle
from pathlib import Path

import pytest
import torch

import official_figures
from mmkw.checkpoints import read_published
from mmkw.models import KWResNet, PlainResNet


@pytest.fixture(scope='module')
def r18_state():
    figures = official_figures.load('r18_1')
    return {key: value.float() for key, value in official_figures.state_dict(figures, 'A').items()}


@pytest.fixture
def save(tmp_path):
    def _save(checkpoint):
        path = tmp_path / 'published.pth'
        torch.save(checkpoint, path)
        return str(path)

    return _save


def initialised(path, depth=18, **kwargs):
    backbone = KWResNet(depth, init_cfg=dict(type='PublishedPretrained', checkpoint=path), **kwargs)
    backbone.init_weights()
    return backbone


def test_a_published_file_fills_a_backbone(r18_state, save):
    path = save(dict(model=r18_state, epoch=299, args=argparse.Namespace(lr=0.1), optimizer=dict(state={})))
    backbone = initialised(path)
    assert torch.equal(backbone.warehouses['stage2'], r18_state['warehouse_manager.weights.2'])
    assert torch.equal(backbone.bn1.running_var, r18_state['bn1.running_var'])
    fc2 = 'layer4.0.downsample.0.attention.fc2.weight'
    assert torch.equal(backbone.get_parameter(fc2), r18_state[fc2])


def test_a_bare_state_dict_fills_a_backbone(r18_state, save):
    backbone = initialised(save(r18_state))
    assert torch.equal(backbone.conv1.weight, r18_state['conv1.weight'])


def test_a_plain_checkpoint_fills_a_plain_backbone(save):
    plain = PlainResNet(18)
    state = {**plain.state_dict(), 'fc.weight': torch.zeros(1000, 512), 'fc.bias': torch.zeros(1000)}
    other = PlainResNet(18, init_cfg=dict(type='PublishedPretrained', checkpoint=save(state)))
    other.init_weights()
    assert torch.equal(other.layer3[1].conv2.weight, plain.layer3[1].conv2.weight)


@pytest.mark.parametrize(
    'kwargs, message',
    [
        (dict(depth=34), 'the checkpoint is a ResNet of depth 18, the model a ResNet of depth 34'),
        (dict(depth=50), 'the checkpoint is a ResNet of depth 18, the model a ResNet of depth 50'),
        (dict(budget='4x'), 'the checkpoint has budget b = 1, the model budget b = 4; take the file'),
        (dict(budget='1/2x'), 'the checkpoint has budget b = 1, the model budget b = 0.5; take the file'),
    ],
)
def test_another_depth_or_budget(r18_state, save, kwargs, message):
    with pytest.raises(ValueError, match=message) as caught:
        initialised(save(r18_state), **kwargs)
    assert len(str(caught.value)) < 200


def test_a_kw_checkpoint_for_a_plain_network(r18_state, save):
    plain = PlainResNet(18, init_cfg=dict(type='PublishedPretrained', checkpoint=save(r18_state)))
    with pytest.raises(
        ValueError, match='the checkpoint is of KernelWarehouse, the model of a plain network; take the file'
    ):
        plain.init_weights()


def test_a_plain_checkpoint_for_a_kw_network(save):
    with pytest.raises(
        ValueError, match='the checkpoint is of a plain network, the model of KernelWarehouse; take the file'
    ):
        initialised(save(PlainResNet(18).state_dict()))


def test_missing_unexpected_and_misshapen_keys_are_named(r18_state, save):
    state = dict(r18_state, **{'bn1.extra': torch.zeros(1), 'layer1.0.bn1.weight': torch.zeros(3)})
    for name in ('weight', 'bias', 'running_mean', 'running_var'):
        del state[f'bn1.{name}']
    with pytest.raises(ValueError) as caught:
        initialised(save(state))
    assert str(caught.value) == (
        'keys of the checkpoint do not fit the model:\n'
        '  4 missing: backbone.bn1.weight, backbone.bn1.bias, backbone.bn1.running_mean, ...\n'
        '  1 unexpected: backbone.bn1.extra\n'
        '  1 of another shape: backbone.layer1.0.bn1.weight'
    )


def test_a_file_that_is_not_there():
    with pytest.raises(FileNotFoundError, match='checkpoint nowhere.pth does not exist'):
        read_published('nowhere.pth')


@pytest.mark.parametrize('kept', [0, 10, 0.5, 0.99])
def test_a_truncated_file(r18_state, save, tmp_path, kept):
    content = Path(save(r18_state)).read_bytes()
    path = tmp_path / 'truncated.pth'
    path.write_bytes(content[: int(len(content) * kept) if kept < 1 else kept])
    with pytest.raises(ValueError, match='truncated.pth cannot be read: it is damaged'):
        read_published(path)


class Malicious:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), 'w')


@pytest.mark.parametrize('zipped', [True, False])
def test_a_malicious_pickle_is_refused_and_not_executed(tmp_path, zipped):
    target, path = tmp_path / 'executed', tmp_path / 'malicious.pth'
    checkpoint = dict(model={'conv1.weight': torch.zeros(1)}, args=Malicious(target))
    if zipped:
        torch.save(checkpoint, path)
    else:
        path.write_bytes(pickle.dumps(Malicious(target)))
    with pytest.raises(ValueError, match='malicious.pth cannot be read: .* holds code that is not executed'):
        read_published(path)
    assert not target.exists()


@pytest.mark.parametrize('content', [[1, 2], dict(epoch=3), dict(model=dict(a=1)), {}])
def test_files_that_hold_something_else(save, content):
    with pytest.raises(ValueError, match='is no published checkpoint'):
        read_published(save(content))
