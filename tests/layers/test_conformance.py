"""What every dynamic layer has to do, whatever its method."""

import copy
import io

import pytest
import torch
from mmengine.model import BaseModule
from torch import nn

from layer_makers import FORMS, layer_of
from mmkw import set_temperature
from mmkw.conversion import fold, mean_attention
from mmkw.export import exportable
from mmkw.inspection import attention_maps, model_info
from mmkw.layers import by_definition, dynamic_layers

NAMES = list(FORMS)
EXPORTED = [name for name, form in FORMS.items() if form.exports]
FOLDING = [name for name, form in FORMS.items() if form.folds]
WITH_KERNELS = [name for name, form in FORMS.items() if form.has_kernels]


@pytest.fixture(params=NAMES)
def layer_and_input(request):
    return layer_of(request.param)


@pytest.mark.parametrize('name', WITH_KERNELS)
def test_computes_what_its_definition_says(name):
    layer, x = layer_of(name)
    out = layer(x)
    with by_definition(layer):
        expected = layer(x)
    assert out.std() > 0
    torch.testing.assert_close(out, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('name', [name for name in WITH_KERNELS if FORMS[name].trains_by_definition])
def test_gradients_are_those_of_the_definition(name):
    layer, x = layer_of(name)
    layer.train()
    if layer.temperature_range is not None:
        set_temperature(layer, sum(layer.temperature_range[2:]) / 2)
    x.requires_grad_()
    weights = torch.randn_like(layer(x))
    inputs = [x, *layer.parameters()]
    found = torch.autograd.grad((layer(x) * weights).sum(), inputs)
    with by_definition(layer):
        expected = torch.autograd.grad((layer(x) * weights).sum(), inputs)
    for ours, theirs in zip(found, expected):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize('name', NAMES)
def test_gradients_are_numerically_right(name):
    layer, x = layer_of(name)
    x = x[:2].requires_grad_()
    parameters = dict(layer.named_parameters())

    def run(x, *values):
        return torch.func.functional_call(layer, dict(zip(parameters, values)), (x,)).sum()

    # A layer of the warehouse's owner reads its cells by name, not as an argument.
    assert torch.autograd.gradcheck(run, (x, *parameters.values()), fast_mode=True, check_undefined_grad=False)


def test_samples_do_not_mix(layer_and_input):
    layer, x = layer_and_input
    torch.testing.assert_close(layer(x)[1:2], layer(x[1:2]), rtol=1e-10, atol=1e-12)


def test_what_it_does_depends_on_the_input(layer_and_input):
    layer, x = layer_and_input
    alpha = layer.alpha(layer.prepare(x))
    assert len(alpha) == len(x)
    assert (alpha[0] - alpha[1]).abs().max() > 1e-6


@pytest.mark.parametrize('name', WITH_KERNELS)
def test_kernels_depend_on_the_input(name):
    layer, x = layer_of(name)
    kernels = layer.kernel(layer.prepare(x))
    assert kernels.shape == (len(x), *layer.kernel_shape)
    assert (kernels[0] - kernels[1]).abs().max() > 1e-6


@pytest.mark.parametrize('name', NAMES)
def test_a_state_dict_is_all_of_the_state(name):
    layer, x = layer_of(name)
    other = FORMS[name].make().double().eval()
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(x), layer(x))


def test_a_copy_is_independent_and_the_same(layer_and_input):
    layer, x = layer_and_input
    copied = copy.deepcopy(layer)
    assert torch.equal(copied(x), layer(x))
    assert not {p.data_ptr() for p in copied.parameters()} & {p.data_ptr() for p in layer.parameters()}


def test_a_whole_layer_survives_pickling(layer_and_input):
    layer, x = layer_and_input
    layer(x)  # what a pass leaves behind must not be in the way
    buffer = io.BytesIO()
    torch.save(layer, buffer)
    buffer.seek(0)
    assert torch.equal(torch.load(buffer, weights_only=False)(x), layer(x))


def test_the_attention_starts_anew(layer_and_input):
    layer, x = layer_and_input
    before = layer.alpha(layer.prepare(x))
    torch.manual_seed(1)
    layer.reset_attention()
    once = layer.alpha(layer.prepare(x))
    torch.manual_seed(1)
    layer.reset_attention()
    assert torch.equal(layer.alpha(layer.prepare(x)), once)
    assert not torch.equal(once, before)


@pytest.mark.parametrize('name', FOLDING)
def test_folds_at_the_attention_of_a_single_sample(name):
    layer, x = layer_of(name)
    network = nn.Sequential(layer)
    plain = fold(network, mean_attention(network, [x[:1]]))
    assert not dynamic_layers(plain)
    assert type(plain[0]) is type(layer.plain_layer())
    torch.testing.assert_close(plain(x[:1]), layer(x[:1]), rtol=1e-10, atol=1e-10)


def test_is_inspected(layer_and_input, request):
    layer, x = layer_and_input
    network = nn.Sequential(layer)
    info = model_info(network, network, x[:1])
    assert info.attention > 0
    assert min(info.convolution, info.assembly) > 0 or not FORMS[request.node.callspec.id].has_kernels
    (found,) = attention_maps(network, network, [x])
    assert found.layers == {'0': layer.mixtures}
    assert found.mean.shape[0] == layer.mixtures


@pytest.mark.parametrize('dynamic', [False, True], ids=['fixed batch', 'open batch'])
@pytest.mark.parametrize('name', EXPORTED)
def test_forms_for_onnx_compute_the_same(name, dynamic):
    layer, x = layer_of(name)
    expected = layer(x)
    with exportable(layer, dynamic):
        torch.testing.assert_close(layer(x), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('name', NAMES)
def test_half_precision_is_close_to_float32(name):
    layer, x = layer_of(name)
    layer, x = layer.float(), x.float()
    exact = layer(x)
    if not FORMS[name].has_kernels:
        x = x.bfloat16()  # as the convolution before a norm gives it out
    with torch.autocast('cpu', torch.bfloat16):
        out = layer(x)
    assert out.dtype == torch.bfloat16
    assert (out.float() - exact).norm() < 0.03 * exact.norm()
    out.float().square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())


@pytest.mark.parametrize('name', WITH_KERNELS)
def test_an_input_without_samples_is_refused(name):
    layer, x = layer_of(name)
    with pytest.raises(ValueError, match=rf'{type(layer).__name__} needs an input of shape \(batch'):
        layer(x[:0])


def test_no_init_cfg_touches_what_is_not_plain(layer_and_input):
    layer, _ = layer_and_input
    plain = {id(value) for value in layer.plain_values().values()}
    own = {name: p for name, p in layer.named_parameters() if id(p) not in plain}
    before = {name: p.detach().clone() for name, p in own.items()}
    kinds = ['Linear', 'Conv1d', '_ConvNd', '_BatchNorm', 'LayerNorm', type(layer).__name__]
    for entry in (dict(layer=kinds), dict(layer='Conv9d', override=dict(type='Constant', val=3, bias=3, name='0'))):
        network = BaseModule(dict(type='Constant', val=3, bias=3, **entry))
        network.add_module('0', layer)
        network.init_weights()
    torch.testing.assert_close(own, before, rtol=0, atol=0)
    assert all((value == 3).all() for value in layer.plain_values().values() if isinstance(value, nn.Parameter))
