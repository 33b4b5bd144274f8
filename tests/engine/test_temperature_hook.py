"""The temperature schedule in mmengine's Runner."""

import math
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.logging import MessageHub
from mmengine.registry import HOOKS
from small_training import EPOCH, LAYERS, published, train
from torch import nn

from mmkw.engine import TemperatureHook, temperature_hook
from mmkw.layers import KWConv2d, KWLinear, ODConv2d, temperature_ranges

BY_EPOCH = pytest.mark.parametrize('by_epoch', [True, False], ids=['epoch based', 'iteration based'])
METHODS = pytest.mark.parametrize('method', LAYERS)


def values(hook, iterations, epoch_length=EPOCH, method='KW'):
    """What the hook sets at iterations 0, 1, ..."""
    model, found = LAYERS[method]().double(), []
    [(layer, _)] = temperature_ranges(model).values()
    runner = SimpleNamespace(model=model, hooks=[], train_dataloader=range(epoch_length))
    runner.message_hub = MessageHub('temperatures')
    for runner.iter in range(iterations):
        hook.before_train_iter(runner, 0)
        found.append(float(layer.temperature))
    return found


def test_both_names_are_the_hook():
    assert HOOKS.get('TemperatureHook') is HOOKS.get('KWTemperatureHook') is TemperatureHook


@BY_EPOCH
@METHODS
def test_published_schedule(tmp_path, by_epoch, method):
    _, seen = train(tmp_path, dict(end=2), by_epoch=by_epoch, layer=LAYERS[method]())
    rest = [7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8, 0, 0, 0, 0, 0]
    assert seen == pytest.approx(rest if method == 'KW' else [1 + 29 * part for part in rest])


@BY_EPOCH
def test_in_iterations(tmp_path, by_epoch):
    _, seen = train(tmp_path, dict(end=5, by_epoch=False), by_epoch=by_epoch)
    assert seen == pytest.approx([0.8, 0.6, 0.4, 0.2, 0, 0, 0, 0, 0, 0, 0, 0])


@given(st.integers(1, 40), st.integers(1, 7), st.sampled_from(list(LAYERS)))
def test_published_formula_to_the_last_bit(epochs, epoch_length, method):
    iterations = (epochs + 1) * epoch_length
    found = values(TemperatureHook(end=epochs), iterations, epoch_length, method)
    assert found == published(epochs * epoch_length, iterations, method)


def test_layers_of_both_kinds_go_each_its_own_way(tmp_path):
    layer = nn.Sequential(nn.Unflatten(1, (4, 1, 1)), KWConv2d(4, 4, 1), ODConv2d(4, 4, 1), ODConv2d(4, 4, 1))
    runner, seen = train(tmp_path, dict(end=2), epochs=1, layer=layer)
    assert seen == pytest.approx([7 / 8, 6 / 8, 5 / 8, 4 / 8])
    assert [float(layer.temperature) for layer, _ in temperature_ranges(layer).values()] == [0.5, 15.5, 15.5]
    logged = {name: h.current() for name, h in runner.message_hub.log_scalars.items() if 'temperature' in name}
    assert logged == {'train/temperature_KWConv2d': 0.5, 'train/temperature_ODConv2d': 15.5}
    assert 'tau stops at 0.5 on its way from 1 to 0 and at 15.5 on its way from 30 to 1. ' in log_of(runner)


def two_parts():
    return nn.Sequential(KWLinear(4, 4), KWLinear(4, 4))


@pytest.mark.parametrize('average', [[], [dict(type='mmengine.EMAHook', update_buffers=True)]], ids=['model', 'EMA'])
def test_a_hook_for_a_part_leaves_the_rest_alone(tmp_path, average):
    layer = two_parts()
    runner, seen = train(tmp_path, dict(end=2, part='layer.1'), epochs=1, layer=layer, hooks=average)
    assert seen == [0] * EPOCH  # the first layer's
    assert [float(part.warehouses.temperature) for part in layer] == [0, 0.5]
    assert runner.message_hub.get_scalar('train/temperature_layer.1').current() == 0.5
    for hook in runner.hooks:
        if average and hasattr(hook, 'ema_model'):
            assert [float(part.warehouses.temperature) for part in hook.ema_model.module.layer] == [0, 0.5]


def test_each_part_may_have_a_hook(tmp_path):
    layer = two_parts()
    first = dict(type='TemperatureHook', end=1, part='layer.0')
    train(tmp_path, dict(end=2, part='layer.1'), epochs=1, layer=layer, hooks=[first])
    assert [float(part.warehouses.temperature) for part in layer] == [0, 0.5]


def test_two_hooks_for_one_layer_are_refused(tmp_path):
    first = dict(type='TemperatureHook', end=1)
    with pytest.raises(ValueError, match='two TemperatureHooks, of part=.* move the same temperature'):
        train(tmp_path, dict(end=2, part='layer.1'), layer=two_parts(), hooks=[first])


@pytest.mark.parametrize('part', ['neck', 'layer.2', ['layer']])
def test_a_part_that_the_model_lacks(tmp_path, part):
    with pytest.raises(ValueError, match='the model has data_preprocessor, layer, and no such part'):
        train(tmp_path, dict(end=2, part=part), layer=two_parts())


def test_values_that_all_layers_can_have_hold_for_all(tmp_path):
    layer = nn.Sequential(nn.Unflatten(1, (4, 1, 1)), KWConv2d(4, 4, 1), ODConv2d(4, 4, 1))
    runner, _ = train(tmp_path, dict(end=2, start_value=1, end_value=1), epochs=1, layer=layer)
    assert [float(layer.temperature) for layer, _ in temperature_ranges(layer).values()] == [1, 1]
    assert runner.message_hub.get_scalar('train/temperature').current() == 1


@pytest.mark.parametrize(
    'method, values, message',
    [
        ('ODConv', dict(end_value=0), 'end_value=0: the temperature of a ODConv2d must be at least 1'),
        ('DYConv', dict(start_value=0.5), 'start_value=0.5: the temperature of a DYConv2d must be at least 1'),
        ('KW', dict(start_value=30, end_value=0), 'start_value=30: .* of a KWLinear must be between 0 and 1'),
    ],
)
def test_values_that_a_layer_cannot_have_are_refused_before_training(tmp_path, method, values, message):
    model = LAYERS[method]()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        train(tmp_path, dict(end=2, **values), layer=model)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_begin_and_values():
    hook = TemperatureHook(begin=2, end=6, by_epoch=False, start_value=0.8, end_value=0.2)
    assert values(hook, 8) == pytest.approx([0.8, 0.8, 0.65, 0.5, 0.35, 0.2, 0.2, 0.2])


def test_begin_in_epochs():
    hook = TemperatureHook(begin=0.5, end=1)
    assert values(hook, 6) == pytest.approx([1, 1, 0.5, 0, 0, 0])


def test_cosine():
    hook = TemperatureHook(end=4, by_epoch=False, anneal_strategy='cos')
    assert values(hook, 5) == pytest.approx([(2 + math.sqrt(2)) / 4, 0.5, (2 - math.sqrt(2)) / 4, 0, 0])


@given(
    st.tuples(st.floats(0, 5), st.floats(0.01, 5)),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
    st.sampled_from(['linear', 'cos']),
)
def test_goes_one_way_and_arrives(span, ends, anneal_strategy):
    start, end = ends
    hook = TemperatureHook(
        begin=span[0], end=sum(span), start_value=start, end_value=end, anneal_strategy=anneal_strategy
    )
    found = values(hook, math.ceil(sum(span) * EPOCH) + 1)
    assert found == sorted(found, reverse=start > end)
    assert all(min(ends) <= value <= max(ends) for value in found)
    assert found[-1] == end


def test_accumulated_gradients_count_micro_batches(tmp_path):
    _, seen = train(tmp_path, dict(end=2), accumulate=2)
    assert seen == pytest.approx(published(2 * EPOCH, 3 * EPOCH))


@BY_EPOCH
@pytest.mark.parametrize('stopped_at, method', [(1, 'KW'), (EPOCH, 'KW'), (EPOCH + 3, 'KW'), (EPOCH + 3, 'ODConv')])
def test_resuming_at_any_iteration_goes_on_without_a_jump(tmp_path, by_epoch, stopped_at, method):
    every = dict(checkpoint=dict(type='CheckpointHook', interval=1, by_epoch=False))
    settings = dict(by_epoch=by_epoch, layer=LAYERS[method]())
    train(tmp_path, dict(end=2), default_hooks=every, **settings)
    load_from = str(tmp_path / f'iter_{stopped_at}.pth')
    _, seen = train(tmp_path, dict(end=2), resume=True, load_from=load_from, **settings)
    # mmengine's epoch-based loop repeats the epoch in which such a checkpoint was saved; its iterations count on.
    finished = (stopped_at - 1) // EPOCH * EPOCH if by_epoch else stopped_at
    assert len(seen) == 3 * EPOCH - finished
    assert seen == pytest.approx(published(2 * EPOCH, 4 * EPOCH, method)[stopped_at : stopped_at + len(seen)])


def test_a_model_without_a_temperature(tmp_path):
    with pytest.raises(ValueError, match='has no dynamic layer'):
        train(tmp_path, dict(end=2), layer=nn.Linear(4, 4))


def log_of(runner):
    return (Path(runner.log_dir) / f'{runner.timestamp}.log').read_text()


@BY_EPOCH
def test_a_schedule_longer_than_the_training_is_warned_of(tmp_path, by_epoch):
    runner, seen = train(tmp_path, dict(end=4), epochs=2, by_epoch=by_epoch)
    warnings = [line for line in log_of(runner).splitlines() if 'TemperatureHook' in line and 'WARNING' in line]
    assert len(warnings) == 1
    assert 'ends after 16 iterations, but training already after 8: tau stops at 0.5 ' in warnings[0]
    assert seen[-1] == 0.5


def test_a_schedule_as_long_as_the_training_is_not(tmp_path):
    runner, seen = train(tmp_path, dict(end=3))
    assert 'TemperatureHook: the temperature schedule ends' not in log_of(runner)
    assert seen[-1] == 0


@pytest.mark.parametrize(
    'layer, hook, warned_of',
    [
        (LAYERS['KW'], dict(end=2), 'KWLinear'),
        (LAYERS['ODConv'], dict(end=2), 'ODConv2d'),
        (LAYERS['DYConv'], dict(end=2), None),
        (partial(KWLinear, 4, 4, norm='LN'), dict(end=2), None),
        (partial(KWLinear, 4, 4, attention_init='start'), dict(end=2), None),
        (LAYERS['KW'], dict(end=2, end_value=0.5), None),
        (LAYERS['KW'], dict(end=2, begin=0.5), 'KWLinear'),
        (LAYERS['KW'], dict(end=10, by_epoch=False), None),
        (LAYERS['KW'], dict(end=1, by_epoch=False), None),
    ],
    ids=[
        'KW',
        'ODConv',
        'no batch norm',
        'LayerNorm',
        'from the start',
        'stops',
        'begins late',
        'slow enough',
        'at its end',
    ],
)
def test_a_fall_within_few_iterations_is_warned_of_where_attentions_have_batch_norms(
    tmp_path, monkeypatch, layer, hook, warned_of
):
    monkeypatch.setattr(temperature_hook, '_SHORT_FALL', 10)
    runner, _ = train(tmp_path, hook, layer=layer())
    warnings = [line for line in log_of(runner).splitlines() if 'TemperatureHook: the temperature falls' in line]
    assert len(warnings) == bool(warned_of)
    if warned_of:
        iterations = (hook['end'] - hook.get('begin', 0)) * EPOCH
        assert f'falls within {iterations:g} iterations, and the attentions of {warned_of} have' in warnings[0]


@pytest.mark.parametrize(
    'arguments, message',
    [
        (dict(end=0), 'begin=0 and end=0'),
        (dict(end=-1), 'begin=0 and end=-1'),
        (dict(end=2, begin=2), 'begin=2 and end=2'),
        (dict(end=2, begin=-1), 'begin=-1 and end=2'),
        (dict(end=math.nan), 'end=nan'),
        (dict(end=math.inf), 'end=inf'),
        (dict(end=2, start_value=math.inf), 'start_value .* got inf'),
        (dict(end=2, end_value=-0.1), 'end_value .* got -0.1'),
        (dict(end=2, anneal_strategy='step'), "one of .'cos', 'linear'., got 'step'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        TemperatureHook(**arguments)
