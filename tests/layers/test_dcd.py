"""DCD's formula in both modes, and what it cannot do."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmkw import convert
from mmkw.conversion import warm_start
from mmkw.layers import DCDConv2d, DCDLinear, DCDSpec, by_definition


def layer(**settings):
    torch.manual_seed(0)
    made = DCDConv2d(4, 6, 3, **{**dict(padding=1, stride=2, latent=3, squeeze=5, pool=2), **settings}).double()
    for norm in (made.norm_q, made.norm_phi):
        for value in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            nn.init.uniform_(value, 0.5, 1.5)
    nn.init.normal_(made.bias)
    return made


@pytest.mark.parametrize('training', [True, False])
def test_the_formula(training):
    dcd, x = layer().train(training), torch.randn(3, 4, 7, 6, dtype=torch.double)
    attention = dcd.attention
    y0 = F.adaptive_avg_pool2d(x, 2).flatten(1) @ attention.fc0.weight.T
    y1 = y0 * F.relu6(y0 @ attention.fc1.weight.T + 3) / 3
    phi = (y1 @ attention.fc_phi.weight.T).view(3, 3, 3)
    scale = F.relu6(y1 @ attention.fc_scale.weight.T + 3) / 3

    def norm(module, value):
        return F.batch_norm(
            value, module.running_mean.clone(), module.running_var.clone(), module.weight, module.bias, training
        )

    u = norm(dcd.norm_q, F.conv2d(x, dcd.q.weight, stride=2))
    mixed = norm(dcd.norm_phi, torch.einsum('bij,bjhw->bihw', phi, u).flatten(2)).view_as(u)
    static = F.conv2d(x, dcd.weight, dcd.bias, stride=2, padding=1) * scale[..., None, None]
    torch.testing.assert_close(dcd(x), static + F.conv2d(u + mixed, dcd.p.weight))


def test_there_is_no_kernel_of_a_sample_in_training():
    dcd, x = layer(), torch.randn(3, 4, 7, 6, dtype=torch.double)
    with by_definition(dcd):
        with pytest.raises(ValueError, match='in training a DCDConv2d has no kernel of a sample.*call eval'):
            dcd(x)
        dcd.eval()(x)


def test_a_classifier_needs_two_samples_in_training():
    head = DCDLinear(4, 3, latent=2, squeeze=2)
    assert head.needs_two_samples
    with pytest.raises(ValueError, match='more than 1 value per channel when training'):
        head(torch.randn(1, 4))
    head.norm_q.eval()
    assert not head.needs_two_samples
    assert not layer().needs_two_samples


def test_a_warm_start_is_exact():
    plain = nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.Flatten(), nn.LazyLinear(3)).double()
    x = torch.randn(3, 4, 5, 5, dtype=torch.double)
    expected = plain(x)
    model = nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.Flatten(), nn.Linear(150, 3)).double()
    convert(model, {'a': DCDSpec(['0', '2'], latent=3, squeeze=4)})
    assert set(warm_start(model, plain.state_dict()).values()) == {0.0}
    torch.testing.assert_close(model(x), expected)
    model(x).square().mean().backward()
    for dcd in (model[0], model[2]):
        assert dcd.p.weight.grad.any() and dcd.attention.fc_scale.weight.grad.any()


OBSTACLES = {
    'groups': (dict(groups=2, padding=1), 'needs groups=1, got groups=2'),
    'an even window': (dict(kernel_size=2, padding=1), r'odd window .* got kernel_size=\(2, 2\)'),
    'no padding': ({}, r'as much padding, got kernel_size=\(3, 3\), padding=\(0, 0\)'),
    'too little for its dilation': (dict(padding=1, dilation=2), r'dilation=\(2, 2\)'),
    'valid padding': (dict(padding='valid'), "padding='valid'"),
}


@pytest.mark.parametrize('settings, message', OBSTACLES.values(), ids=OBSTACLES)
def test_what_it_cannot_do(settings, message):
    settings = {**dict(in_channels=4, out_channels=4, kernel_size=3), **settings}
    with pytest.raises(ValueError, match=message):
        DCDConv2d(**settings, latent=2, squeeze=2)
    with pytest.raises(ValueError, match=f"names '0', a Conv2d; .*{message}"):
        convert(nn.Sequential(nn.Conv2d(**settings)), {'a': DCDSpec(['0'], latent=2, squeeze=2)})


@pytest.mark.parametrize('name', ['latent', 'squeeze', 'pool'])
def test_sizes_have_to_be_above_0(name):
    with pytest.raises(ValueError, match=f'{name} must be a whole number above 0, got 0'):
        layer(**{name: 0})


def test_how_it_starts():
    dcd = DCDConv2d(32, 64, 3, padding=1, latent=16, squeeze=64, fc_std=0.01)
    assert dcd.weight.std().item() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.05)
    assert dcd.q.weight.std().item() == pytest.approx((2 / 16) ** 0.5, rel=0.15)
    assert dcd.p.weight.std().item() == pytest.approx((2 / 64) ** 0.5, rel=0.15)
    assert dcd.attention.fc_phi.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert DCDLinear(32, 64, latent=4, squeeze=4).weight.abs().max().item() == pytest.approx(32**-0.5, rel=0.01)
