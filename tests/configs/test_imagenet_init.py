"""The networks of the ImageNet recipes start as the recipes say."""

import math

import pytest
import torch
from imagenet_configs import build, config
from torch import nn

from mmkw.layers import KWConvNd, Warehouses

PLAIN = ['r18', 'r50', 'mbv2', 'convnext_t']
PARTLY_KW, KW = ['kw1x_r18', 'kw1d2_r50', 'kw1d2_mbv2'], ['kw4x_mbv2', 'kw3d4_convnext_t']


def networks(names):
    return pytest.mark.parametrize('started', names, indirect=True, scope='module')


@pytest.fixture(scope='module')
def started(request):
    """A network, and what its KW layers held before its init_weights."""
    torch.manual_seed(0)
    model = build(config(request.param))
    own = [m for m in model.modules() if isinstance(m, (KWConvNd, Warehouses))]
    before = [{key: value.clone() for key, value in m.state_dict().items()} for m in own]
    model.init_weights()
    return model, own, before


@networks([*PARTLY_KW, *KW])
def test_warehouses_and_attentions_start_as_the_layers_start_them(started):
    _, own, before = started
    assert own
    for module, values in zip(own, before):
        for key, value in module.state_dict().items():
            if key == 'bias':  # the bias of the plain layer
                values[key] = torch.zeros_like(value)
            torch.testing.assert_close(value, values[key], rtol=0, atol=0)


@networks([*PLAIN, *PARTLY_KW, *KW])
def test_norms_start_at_one(started):
    norms = [m for m in started[0].modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm))]
    assert len(norms) > 17
    assert all((norm.weight == 1).all() and (norm.bias == 0).all() for norm in norms)


@networks([*PLAIN, *PARTLY_KW])
def test_convolutions_start_kaiming_normal_by_fan_out(started):
    for conv in (m for m in started[0].modules() if isinstance(m, nn.Conv2d)):
        std = math.sqrt(2 / (conv.out_channels * math.prod(conv.kernel_size)))
        samples = conv.weight.numel()
        assert conv.weight.std().item() == pytest.approx(std, rel=5 / math.sqrt(2 * samples))
        assert conv.weight.abs().max() > 2.1 * std or samples < 1000  # not cut off, not uniform
        assert conv.bias is None or (conv.bias == 0).all()


@pytest.mark.parametrize('name', ['convnext_t', 'kw1x_convnext_t'])
def test_layer_scale(name):
    gammas = [p for key, p in build(config(name), 'backbone').named_parameters() if key.endswith('gamma')]
    assert len(gammas) == 18
    assert all((gamma == 1e-6).all() for gamma in gammas)
