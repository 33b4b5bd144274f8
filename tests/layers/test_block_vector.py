"""Layers that share a vector of their block: CondConv's routing and WeightNet's reduced vector."""

import copy
import io

import pytest
import torch
from mmengine.model import initialize
from torch import nn
from torch.utils.checkpoint import checkpoint

from mmkw import convert
from mmkw.conversion import fold, mean_attention
from mmkw.inspection import model_info
from mmkw.layers import BlockVector, CondConv2d, CondConvSpec, WeightNetSpec, by_definition

SPECS = {'route': CondConvSpec, 'reduce': WeightNetSpec}


class Block(nn.Module):
    """A residual block whose shortcut runs last and sees another input than the block."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(4, 8, 3, 2, 1, bias=False), nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.shortcut = nn.Conv2d(4, 8, 1, bias=False)
        self.checkpoints = False

    def run(self, x):
        out = self.conv2(self.norm(self.conv1(x)).relu())
        return out + self.shortcut(nn.functional.avg_pool2d(x, 2))

    def forward(self, x):
        return checkpoint(self.run, x, use_reentrant=False) if self.checkpoints else self.run(x)


LAYERS = ('block.conv1', 'block.conv2', 'block.shortcut')


@pytest.fixture(params=SPECS)
def name(request):
    return request.param


def network(name, layers=LAYERS):
    torch.manual_seed(0)
    model = nn.Sequential()
    model.add_module('block', Block())
    model.add_module('act', nn.ReLU())
    convert(model, {'block': SPECS[name](layers)})
    return model.double().train()


def images(batch=3, seed=0):
    return torch.randn(batch, 4, 6, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def vector_of(model, name):
    return getattr(model.block, name)


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return [p.grad.clone() for p in model.parameters()]


def test_all_layers_use_the_vector_of_the_blocks_input(name):
    model, x = network(name).eval(), images()
    seen = {}

    def look(layer, inputs):
        seen[layer] = layer.alpha(inputs[0])

    for layer in (model.block.conv1, model.block.conv2, model.block.shortcut):
        layer.register_forward_pre_hook(look)
    model(x)
    vector = vector_of(model, name).fc(x.mean((2, 3)))
    for layer, alpha in seen.items():
        expected = vector.sigmoid() if name == 'route' else layer.fc1(vector).sigmoid()
        torch.testing.assert_close(alpha, expected)


def test_it_is_one_module_of_the_block(name):
    model = network(name)
    assert [key for key in model.state_dict() if f'.{name}.' in key] == [
        f'block.{name}.fc.weight',
        f'block.{name}.fc.bias',
    ]
    layers = ('conv1', 'conv2', 'shortcut')
    assert {id(getattr(getattr(model.block, layer), name)) for layer in layers} == {id(vector_of(model, name))}


def test_the_leading_layer_is_the_first_that_is_listed(name):
    with pytest.raises(ValueError, match='run the block as a whole'):
        network(name, LAYERS[::-1])(images())


def test_a_single_layer_makes_its_own(name):
    model = network(name, LAYERS[1:2])
    assert f'block.conv2.{name}.fc.weight' in model.state_dict()
    assert not hasattr(model.block, name)
    assert model(images()).isfinite().all()


def test_recomputing_gives_the_same_gradients(name):
    model, x = network(name), images()
    model.eval()  # a second pass would find other running statistics
    expected = gradients(model, model(x).square().mean())
    model.block.checkpoints = True
    for found, grad in zip(gradients(model, model(x).square().mean()), expected):
        torch.testing.assert_close(found, grad)


@pytest.mark.parametrize('recomputes', [False, True])
def test_several_passes_before_a_backward_pass(name, recomputes):
    model = network(name).eval()
    model.block.checkpoints = recomputes
    batches = [images(2, 1), images(3, 2)]
    alone = [gradients(model, model(x).square().mean()) for x in batches]
    outs = [model(x) for x in batches]
    together = gradients(model, sum(out.square().mean() for out in outs))
    for both, first, second in zip(together, *alone):
        torch.testing.assert_close(both, first + second)


def test_nothing_is_kept_after_a_pass(name):
    model = network(name)
    for recomputes in (False, True):
        model.block.checkpoints = recomputes
        model(images()).sum().backward()
        assert vector_of(model, name)._vector is None


def test_copies_and_pickles_in_the_middle_of_a_pass(name):
    model, x = network(name).eval(), images()
    vector_of(model, name).make(x.mean((2, 3)))  # part of a graph, which nobody can copy
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    for twin in (copy.deepcopy(model), torch.load(buffer, weights_only=False)):
        assert twin.block.conv2.block_vector is vector_of(twin, name) is not vector_of(model, name)
        torch.testing.assert_close(twin(x), model(x))


def test_a_vector_is_used_once(name):
    model, x = network(name), images()
    with pytest.raises(ValueError, match='first layer of the block, which has not run since'):
        model.block.conv2(model.block.norm(torch.zeros(3, 8, 3, 3, dtype=torch.double)))
    hidden = model.block.conv1(x)
    model.block.conv2(hidden)
    with pytest.raises(ValueError, match='first layer of the block, which has not run since'):
        model.block.conv2(hidden)


def test_a_vector_of_another_batch_is_refused(name):
    model = network(name)
    hidden = model.block.conv1(images(3))
    with pytest.raises(ValueError, match="got 2 samples, but its block's vector is of 3"):
        model.block.conv2(hidden[:2])


def test_by_definition_it_is_the_same(name):
    model, x = network(name).eval(), images()
    expected = model(x)
    with by_definition(model):
        torch.testing.assert_close(model(x), expected)


def test_it_folds(name):
    model, x = network(name).eval(), images(1)
    folded = fold(model, mean_attention(model, [x]))
    assert not any(isinstance(module, BlockVector) for module in folded.modules())
    torch.testing.assert_close(folded(x), model(x))


def test_its_multiply_adds_are_attention(name):
    model = network(name).eval()
    info = model_info(model, model, images(1))
    positions = 3 * 3
    assert info.convolution == positions * (8 * 4 * 9 + 8 * 8 * 9 + 8 * 4)
    vector = 4 * vector_of(model, name).fc.out_features
    assert info.attention == vector + (0 if name == 'route' else 3 * 16 * 8 * 2)


def test_no_init_cfg_reaches_it(name):
    model = network(name)
    before = [p.clone() for p in vector_of(model, name).parameters()]
    initialize(model, [dict(type='Constant', layer='Linear', val=3, bias=3)])
    assert all(torch.equal(p, q) for p, q in zip(vector_of(model, name).parameters(), before))


def test_it_is_frozen_with_all_of_its_layers(name):
    for frozen in (2, 3):
        torch.manual_seed(0)
        model = nn.Sequential()
        model.add_module('block', Block())
        for layer in LAYERS[:frozen]:
            model.get_submodule(layer).requires_grad_(False)
        convert(model, {'block': SPECS[name](LAYERS)})
        trained = [p.requires_grad for p in vector_of(model, name).parameters()]
        assert trained == [frozen < 3] * 2
        assert not any(p.requires_grad for p in model.block.conv1.parameters())


@pytest.mark.parametrize('group', ['elsewhere', '', 'blo'])
def test_a_group_that_is_no_block_is_refused_and_nothing_is_changed(name, group):
    model = nn.Sequential()
    model.add_module('block', Block())
    with pytest.raises(ValueError, match=rf"'{group}' is to be the name of the block that holds 'block.conv1'"):
        convert(model, {group: SPECS[name](LAYERS)})
    assert type(model.block.conv1) is nn.Conv2d


def test_an_attribute_of_the_block_is_not_overwritten(name):
    model = nn.Sequential()
    model.add_module('block', Block())
    setattr(model.block, name, 1)
    with pytest.raises(ValueError, match=f'Block already has an attribute `{name}`'):
        convert(model, {'block': SPECS[name](LAYERS)})
    assert type(model.block.conv1) is nn.Conv2d


def test_a_vector_of_another_width_is_refused():
    with pytest.raises(ValueError, match='needs a vector of 4 values for a block, got one of 8'):
        CondConv2d(4, 4, 3, experts=4, route=BlockVector(4, 8))
