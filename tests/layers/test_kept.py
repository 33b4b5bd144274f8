"""The mixed basis that layers keep in inference: exact, dropped when weights change, within its memory."""

import copy
import io

import pytest
import torch
from torch import nn

import mmkw
from mmkw import convert, set_inference_memory, set_temperature
from mmkw.layers import KWConv2d, by_definition, dynamic_layers
from mmkw.ops import association
from mmkw.plans import WarehousePlan
from oldest import half_on_cpus

X = torch.randn(2, 4, 5, 5, dtype=torch.double, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def as_in_large_layers(monkeypatch):
    """Here any basis is worth being kept, as in layers of hundreds of cells."""
    monkeypatch.setattr(association.Factors, 'kept_work', lambda self, batch: 0)


def network(**settings):
    """Two layers that share a warehouse of more cells than an attention has hidden values."""
    torch.manual_seed(0)
    plan = WarehousePlan(['0', '1'], **dict(dict(budget=4), **settings))
    model = convert(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 6, 1)), {'both': plan}).double().eval()
    for name, value in model.named_parameters():
        if value.dim() == 1 or 'basis_bias' in name:
            nn.init.normal_(value)
    set_inference_memory(model, 2**20)
    return model


def layers(model):
    return dynamic_layers(model).values()


def kept(model):
    return [layer.kept.now for layer in layers(model) if layer.kept.now is not None]


def run(model, x=X):
    with torch.no_grad():
        return model(x)


def expected(model, x=X):
    with by_definition(model), torch.no_grad():
        return model(x)


SETTINGS = {
    'plain': dict(),
    'layer norm': dict(norm='LN'),
    'basis form': dict(nonlocal_basis_ratio=0.5),
    'no start': dict(start='none'),
    'below 1': dict(budget=0.5, cell_inplane_ratio=0.5, cell_outplane_ratio=0.5),
}


@pytest.mark.parametrize('settings', SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize('temperature', [0.0, 0.3, 1.0])
@pytest.mark.parametrize('batch', [1, 2])
def test_computes_the_same(settings, temperature, batch):
    model = network(**settings)
    set_temperature(model, temperature)
    for _ in range(2):
        torch.testing.assert_close(run(model, X[:batch]), expected(model, X[:batch]), rtol=1e-10, atol=1e-10)
    if settings.get('budget') != 0.5:  # where there are fewer cells than rows
        assert len(kept(model)) == 2


def test_is_made_once():
    model = network()
    run(model)
    first = kept(model)
    run(model)
    assert all(a is b for a, b in zip(first, kept(model)))


@torch.no_grad()
def rewrite(model, name):
    model.get_parameter(name).mul_(1.5)


def swap(model, name):
    owner, _, own = name.rpartition('.')
    setattr(model.get_submodule(owner), own, nn.Parameter(2 * model.get_parameter(name).detach()))


def replace_data(model, name):
    p = model.get_parameter(name)
    p.data = 2 * p.data


@pytest.mark.parametrize('change', [rewrite, swap, replace_data])
@pytest.mark.parametrize(
    'name, settings',
    [
        *((name, {}) for name in ('warehouses.both', '0.attention.fc2.weight', '0.attention.fc2.bias')),
        *((f'0.attention.{name}', SETTINGS['basis form']) for name in ('fc3.weight', 'basis_bias', 'fc2.weight')),
        ('0.attention.fc1.weight', {}),
    ],
)
def test_follows_every_weight(change, name, settings):
    model = network(**settings)
    before = run(model)
    change(model, name)
    after = run(model)
    assert not torch.allclose(after, before)
    torch.testing.assert_close(after, expected(model), rtol=1e-10, atol=1e-10)


def test_follows_the_temperature():
    model = network()
    for temperature in (0.5, 0.0, 1.0):
        set_temperature(model, temperature)
        torch.testing.assert_close(run(model), expected(model), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    'change',
    [
        lambda model: model.train(),
        lambda model: model.eval(),
        lambda model: model.to(torch.double),
        lambda model: model.float(),
        lambda model: model.load_state_dict(model.state_dict()),
    ],
    ids=['train', 'eval', 'to', 'float', 'load'],
)
def test_is_dropped(change):
    model = network()
    run(model)
    assert len(kept(model)) == 2
    change(model)
    assert not kept(model)


def test_weights_exchanged_as_averaging_does_it_are_seen_once_the_mode_is_set():
    model = network()
    run(model)
    for p in model.parameters():
        p.data.copy_(2 * p.data)  # torch does not count it
    model.eval()
    torch.testing.assert_close(run(model), expected(model), rtol=1e-10, atol=1e-10)


def test_training_and_gradients_keep_nothing():
    model = network()
    model(X)
    assert not kept(model)
    model.train()
    run(model)
    assert not kept(model)


def test_is_in_no_state_or_copy():
    model = network()
    keys, buffer = list(model.state_dict()), io.BytesIO()
    torch.save(model, buffer)
    size = buffer.tell()
    run(model)
    assert list(model.state_dict()) == keys
    assert not kept(copy.deepcopy(model))
    buffer = io.BytesIO()
    torch.save(model, buffer)
    assert buffer.tell() == pytest.approx(size, abs=256)
    buffer.seek(0)
    loaded = torch.load(buffer, weights_only=False)
    assert not kept(loaded)
    torch.testing.assert_close(run(loaded), run(model), rtol=0, atol=0)


def test_weights_of_inference_mode_are_not_kept():
    with torch.inference_mode():
        model = network()
        run(model)
    assert not kept(model)


def test_what_inference_mode_keeps_serves_afterwards():
    model = network()
    with torch.inference_mode():
        model(X)
    assert len(kept(model)) == 2
    torch.testing.assert_close(run(model), expected(model), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    'dtype, is_kept', [(torch.bfloat16, True), pytest.param(torch.float16, False, marks=half_on_cpus)]
)
def test_under_autocast_it_has_the_type(dtype, is_kept):
    model = network().float()
    exact = run(model, X.float())
    with torch.autocast('cpu', dtype):
        out = run(model, X.float())
    assert [ready.mixed.dtype for ready in kept(model)] == [dtype if is_kept else torch.float] * 2
    assert (out.float() - exact).norm() < 0.03 * exact.norm()


def test_a_hook_still_sees_its_module_run():
    model, seen = network(), []
    model[0].attention.fc2.register_forward_hook(lambda *args: seen.append(args))
    run(model)
    assert len(seen) == 1
    torch.testing.assert_close(run(model), expected(model), rtol=1e-10, atol=1e-10)


# --- memory -------------------------------------------------------------------------------------------------------


def test_the_default_is_as_much_as_the_warehouses():
    model = convert(nn.Sequential(nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3)), {'both': WarehousePlan(['0', '1'])}).eval()
    assert sum(layer.inference_memory for layer in layers(model)) <= 4 * model.warehouses.both.numel()


def test_a_limit_leaves_out_the_layers_that_save_least():
    model = network()
    whole = set_inference_memory(model, 2**20)
    assert whole == sum(layer.inference_memory for layer in layers(model))
    assert set_inference_memory(model, whole - 1) == sum(layer.inference_memory for layer in layers(model)) < whole
    run(model)
    assert len(kept(model)) == 1
    assert set_inference_memory(model, 0) == 0 and not kept(model)
    run(model)
    assert not kept(model)


def test_what_is_kept_takes_what_was_said():
    model = network()
    set_temperature(model, 0.5)
    run(model)
    assert sum(ready.mixed.nbytes for ready in kept(model)) == set_inference_memory(model, 2**20)


def test_a_limit_is_shared_by_all_warehouses_of_a_model():
    model = nn.Sequential(KWConv2d(4, 4, 3, budget=4), KWConv2d(4, 4, 1, budget=32))
    each = [layer.factors.mixed_basis * 4 for layer in layers(model)]
    assert set_inference_memory(model, each[1]) == each[1]  # more cells per row: it saves more
    assert [layer.inference_memory for layer in layers(model)] == [0, each[1]]


def test_the_limit_goes_with_a_copy_and_none_is_the_default():
    model = network()
    default = set_inference_memory(model, None)
    set_inference_memory(model, 0)
    assert all(layer.inference_memory == 0 for layer in layers(copy.deepcopy(model)))
    assert mmkw.set_inference_memory(model, None) == default


@pytest.mark.parametrize(
    'model, size, message', [(nn.Conv2d(4, 4, 1), 0, 'Conv2d has no warehouses'), (network, -1, '-1')]
)
def test_what_cannot_be_set(model, size, message):
    with pytest.raises(ValueError, match=message):
        set_inference_memory(model() if callable(model) and not isinstance(model, nn.Module) else model, size)
