"""The temperature schedule in mmengine's Runner."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.logging import MessageHub
from small_training import EPOCH, published, train
from torch import nn

from mmkw.engine import KWTemperatureHook
from mmkw.layers import KWLinear

BY_EPOCH = pytest.mark.parametrize('by_epoch', [True, False], ids=['epoch based', 'iteration based'])


def values(hook, iterations, epoch_length=EPOCH):
    """The temperatures that the hook sets at iterations 0, 1, ..."""
    layer, found = KWLinear(4, 4).double(), []
    runner = SimpleNamespace(model=layer, hooks=[], train_dataloader=range(epoch_length))
    runner.message_hub = MessageHub('temperatures')
    for runner.iter in range(iterations):
        hook.before_train_iter(runner, 0)
        found.append(float(layer.warehouses.temperature))
    return found


@BY_EPOCH
def test_published_schedule(tmp_path, by_epoch):
    _, seen = train(tmp_path, dict(end=2), by_epoch=by_epoch)
    assert seen == pytest.approx([7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8, 0, 0, 0, 0, 0])


@BY_EPOCH
def test_in_iterations(tmp_path, by_epoch):
    _, seen = train(tmp_path, dict(end=5, by_epoch=False), by_epoch=by_epoch)
    assert seen == pytest.approx([0.8, 0.6, 0.4, 0.2, 0, 0, 0, 0, 0, 0, 0, 0])


@given(st.integers(1, 40), st.integers(1, 7))
def test_published_formula_to_the_last_bit(epochs, epoch_length):
    iterations = (epochs + 1) * epoch_length
    found = values(KWTemperatureHook(end=epochs), iterations, epoch_length)
    assert found == published(epochs * epoch_length, iterations)


def test_begin_and_values():
    hook = KWTemperatureHook(begin=2, end=6, by_epoch=False, start_value=0.8, end_value=0.2)
    assert values(hook, 8) == pytest.approx([0.8, 0.8, 0.65, 0.5, 0.35, 0.2, 0.2, 0.2])


def test_begin_in_epochs():
    hook = KWTemperatureHook(begin=0.5, end=1)
    assert values(hook, 6) == pytest.approx([1, 1, 0.5, 0, 0, 0])


def test_cosine():
    hook = KWTemperatureHook(end=4, by_epoch=False, anneal_strategy='cos')
    assert values(hook, 5) == pytest.approx([(2 + math.sqrt(2)) / 4, 0.5, (2 - math.sqrt(2)) / 4, 0, 0])


@given(
    st.tuples(st.floats(0, 5), st.floats(0.01, 5)),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
    st.sampled_from(['linear', 'cos']),
)
def test_goes_one_way_and_arrives(span, ends, anneal_strategy):
    start, end = ends
    hook = KWTemperatureHook(
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
@pytest.mark.parametrize('stopped_at', [1, EPOCH, EPOCH + 3])
def test_resuming_at_any_iteration_goes_on_without_a_jump(tmp_path, by_epoch, stopped_at):
    each_iteration = dict(checkpoint=dict(type='CheckpointHook', interval=1, by_epoch=False))
    train(tmp_path, dict(end=2), by_epoch=by_epoch, default_hooks=each_iteration)
    load_from = str(tmp_path / f'iter_{stopped_at}.pth')
    _, seen = train(tmp_path, dict(end=2), by_epoch=by_epoch, resume=True, load_from=load_from)
    # mmengine's epoch-based loop repeats the epoch in which such a checkpoint was saved; its iterations count on.
    finished = (stopped_at - 1) // EPOCH * EPOCH if by_epoch else stopped_at
    assert len(seen) == 3 * EPOCH - finished
    assert seen == pytest.approx(published(2 * EPOCH, 4 * EPOCH)[stopped_at : stopped_at + len(seen)])


def test_a_model_without_kw_layers(tmp_path):
    with pytest.raises(ValueError, match='has no dynamic layer'):
        train(tmp_path, dict(end=2), layer=nn.Linear(4, 4))


def log_of(runner):
    return (Path(runner.log_dir) / f'{runner.timestamp}.log').read_text()


@BY_EPOCH
def test_a_schedule_longer_than_the_training_is_warned_of(tmp_path, by_epoch):
    runner, seen = train(tmp_path, dict(end=4), epochs=2, by_epoch=by_epoch)
    warnings = [line for line in log_of(runner).splitlines() if 'KWTemperatureHook' in line and 'WARNING' in line]
    assert len(warnings) == 1
    assert 'ends after 16 iterations, but training already after 8: tau stops at 0.5 ' in warnings[0]
    assert seen[-1] == 0.5


def test_a_schedule_as_long_as_the_training_is_not(tmp_path):
    runner, seen = train(tmp_path, dict(end=3))
    assert 'KWTemperatureHook: ' not in log_of(runner)
    assert seen[-1] == 0


@pytest.mark.parametrize(
    'arguments, message',
    [
        (dict(end=0), 'begin=0 and end=0'),
        (dict(end=-1), 'begin=0 and end=-1'),
        (dict(end=2, begin=2), 'begin=2 and end=2'),
        (dict(end=2, begin=-1), 'begin=-1 and end=2'),
        (dict(end=math.nan), 'end=nan'),
        (dict(end=math.inf), 'end=inf'),
        (dict(end=2, start_value=1.5), 'start_value .* got 1.5'),
        (dict(end=2, end_value=-0.1), 'end_value .* got -0.1'),
        (dict(end=2, anneal_strategy='step'), "one of .'cos', 'linear'., got 'step'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        KWTemperatureHook(**arguments)
