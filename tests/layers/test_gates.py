"""Gates after a norm: their formulas, what stays of the norm, and what becomes of them when norms are replaced."""

import copy

import pytest
import torch
from mmengine.model import revert_sync_batchnorm
from torch import nn
from torch.nn import functional as F

from mmkw import convert
from mmkw.conversion import fold, mean_attention, warm_start
from mmkw.layers import CBAM, ECA, SE, CBAMSpec, ECASpec, Gate, MisfitError, SESpec, dynamic_layers
from mmkw.layers.gates import eca_size

SPECS = {'SE': SESpec, 'CBAM': CBAMSpec, 'ECA': ECASpec}


def gated(spec=SESpec, norm=None, **settings):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 32, 3), norm or nn.BatchNorm2d(32))
    return convert(network, {'gates': spec(['1'], **settings)})


def images(channels=32, batch=2):
    return torch.randn(batch, channels, 6, 5, generator=torch.Generator().manual_seed(1))


def test_se():
    gate, x = SE(32), images()
    hidden = F.relu(x.mean((2, 3)) @ gate.fc1.weight.T)
    assert hidden.shape[1] == 2
    torch.testing.assert_close(gate(x), x * (hidden @ gate.fc2.weight.T).sigmoid()[..., None, None])


def test_cbam():
    gate, x = CBAM(32).eval(), images()
    nn.init.normal_(gate.norm.weight)
    pooled = gate.mlp(F.adaptive_avg_pool2d(x, 1).flatten(1)) + gate.mlp(F.adaptive_max_pool2d(x, 1).flatten(1))
    y = x * pooled.sigmoid()[..., None, None]
    maps = torch.stack((y.max(1).values, y.mean(1)), 1)
    expected = y * gate.norm(F.conv2d(maps, gate.conv.weight, padding=3)).sigmoid()
    torch.testing.assert_close(gate(x), expected)


def test_eca():
    gate, x = ECA(32, 3), images()
    means = F.pad(x.mean((2, 3)), (1, 1))
    left, middle, right = gate.conv.weight.flatten()
    scale = (left * means[:, :-2] + middle * means[:, 1:-1] + right * means[:, 2:]).sigmoid()
    torch.testing.assert_close(gate(x), x * scale[..., None, None])


def test_cbam_starts_with_one_scale_for_all_positions():
    gate = CBAM(32)
    assert not gate.norm.weight.any()
    assert not any(p.any() for name, p in gate.named_parameters() if name.endswith('bias'))
    assert gate.norm.momentum == 0.01


@pytest.mark.parametrize(
    'channels, size', [(64, 3), (128, 5), (256, 5), (512, 5), (1024, 5), (2048, 7), (1, 1), (2, 1)]
)
def test_sizes_of_eca(channels, size):
    assert eca_size(channels) == size
    assert ECA(channels).conv.kernel_size == (size,)


@pytest.mark.parametrize('size', [4, 0, -1])
def test_sizes_that_eca_cannot_have(size):
    with pytest.raises(ValueError, match=f'the size of an ECA gate must be odd.*got {size}'):
        gated(ECASpec, size=size)


@pytest.mark.parametrize('kind', [SE, CBAM])
def test_reduction_has_to_be_above_0(kind):
    with pytest.raises(ValueError, match='reduction must be above 0, got 0'):
        kind(32, reduction=0)


@pytest.mark.parametrize('spec', SPECS.values(), ids=SPECS)
def test_the_norm_stays_the_norm_that_it_was(spec):
    norm = nn.BatchNorm2d(32).eval().requires_grad_(False).double()
    model = gated(spec, norm)
    assert isinstance(model[1], nn.BatchNorm2d)
    assert model[1].weight is norm.weight and model[1].running_mean is norm.running_mean
    assert [key for key in model[1].state_dict() if not key.startswith('gate.')] == list(norm.state_dict())
    assert not any(module.training for module in model[1].modules())
    assert {(p.dtype, p.requires_grad) for p in model[1].parameters()} == {(torch.double, False)}
    assert type(norm) is nn.BatchNorm2d and not dict(norm.named_children())


@pytest.mark.parametrize('spec', SPECS.values(), ids=SPECS)
def test_the_gate_survives_a_change_of_the_norms_class(spec):
    model = gated(spec).eval()
    x = images(3)
    expected = model(x)
    synchronised = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(model))
    assert isinstance(synchronised[1], nn.SyncBatchNorm)
    again = revert_sync_batchnorm(copy.deepcopy(synchronised))
    assert not any(isinstance(module, nn.SyncBatchNorm) for module in again.modules())
    for changed in (synchronised, again):
        torch.testing.assert_close(changed.eval()(x), expected)  # torch 2.1 lets what it converts train again
        assert list(dynamic_layers(changed)) == ['1']


def test_a_norm_in_a_gate_becomes_synchronised_too():
    assert isinstance(nn.SyncBatchNorm.convert_sync_batchnorm(gated(CBAMSpec))[1].gate.norm, nn.SyncBatchNorm)


@pytest.mark.parametrize('norm', [nn.Identity(), nn.BatchNorm2d(32, affine=False), nn.LayerNorm(32), gated()[1]])
def test_what_a_gate_cannot_follow(norm):
    with pytest.raises(ValueError, match=f"names '1', a {type(norm).__name__}; a gate follows a batch norm or group"):
        gated(norm=norm)


def test_a_state_dict_of_another_width_is_refused():
    state = convert(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)), {'gates': SESpec(['1'])}).state_dict()
    with pytest.raises(MisfitError, match=r'1.weight is \(8,\) for \(32,\)'):
        gated().load_state_dict(state)


def test_a_gate_whose_scale_is_constant_folds_exactly():
    model = gated().double().eval()
    nn.init.constant_(model[1].gate.fc1.weight, 0)
    plain = fold(model, mean_attention(model, [images(3).double()]))
    assert not any(isinstance(module, Gate) for module in plain.modules())
    assert type(plain[1]) is nn.BatchNorm2d
    x = images(3).double()
    torch.testing.assert_close(plain(x), model(x), rtol=1e-12, atol=1e-12)
    assert (model[1].weight == 1).all()


def test_a_gate_of_positions_does_not_fold():
    for attempt in (lambda model: mean_attention(model, [images(3)]), lambda model: fold(model, {})):
        with pytest.raises(ValueError, match="'1' cannot be folded: CBAM scales every position"):
            attempt(gated(CBAMSpec))


@pytest.mark.parametrize('spec', SPECS.values(), ids=SPECS)
def test_a_warm_start_is_exact(spec):
    plain, model, x = nn.Sequential(nn.Conv2d(3, 32, 3), nn.BatchNorm2d(32)).double(), gated(spec).double(), images(3)
    with torch.no_grad():
        for value in (*plain[1].parameters(), *plain[1].buffers()):
            value.copy_(value + torch.rand(value.shape))
    for _ in range(2):  # the same again changes nothing
        assert warm_start(model, plain.state_dict()) == {'1.weight': 0.0}
    for network in (plain, model):
        network.eval()
    torch.testing.assert_close(model(x.double()), plain(x.double()))
    model(x.double()).square().mean().backward()
    assert any(p.grad.any() for p in model[1].gate.parameters())
