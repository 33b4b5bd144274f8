"""The moving average of mmengine's EMAHook has the model's temperature: validated, saved and tested."""

import pytest
import torch
from small_training import EPOCH, LAYERS, make_runner, published

from mmkw.layers import KWLinear, MisfitError

TAU = 'layer.warehouses.temperature'
CASES = pytest.mark.parametrize(
    'by_epoch, update_buffers, kind',
    [
        (True, False, 'mmengine.EMAHook'),
        (True, True, 'mmengine.EMAHook'),
        (False, True, 'mmengine.EMAHook'),
        (True, True, 'mmpretrain.EMAHook'),
    ],
)


@pytest.fixture
def train(tmp_path):
    def train(by_epoch, update_buffers, kind, before_or_after='before', layer=None):
        ema = dict(type=kind, momentum=0.1, update_buffers=update_buffers)
        runner = make_runner(tmp_path, dict(end=3), epochs=2, by_epoch=by_epoch, layer=layer, val=True, hooks=[ema])
        if before_or_after == 'after':
            runner.hooks.sort(key=lambda hook: type(hook).__name__ == 'EMAHook')
        runner.train()
        return runner

    return train


def saved(tmp_path, by_epoch):
    return torch.load(tmp_path / ('epoch_2.pth' if by_epoch else f'iter_{2 * EPOCH}.pth'), weights_only=True)


@CASES
@pytest.mark.parametrize('order', ['before', 'after'])
def test_validated_at_the_models_temperature(train, by_epoch, update_buffers, kind, order):
    model = train(by_epoch, update_buffers, kind, order).model
    taus = published(3 * EPOCH, 2 * EPOCH)
    assert model.temperatures(training=True) == pytest.approx(taus)
    # EPOCH batches per validation, and one validation after each epoch
    assert model.temperatures(training=False) == pytest.approx([taus[EPOCH - 1]] * EPOCH + [taus[-1]] * EPOCH)


@CASES
def test_saved_with_the_models_temperature(train, tmp_path, by_epoch, update_buffers, kind):
    train(by_epoch, update_buffers, kind)
    checkpoint = saved(tmp_path, by_epoch)
    assert checkpoint['state_dict'][TAU] == checkpoint['ema_state_dict'][f'module.{TAU}'] == pytest.approx(1 / 3)
    # The average differs from the model, so the two were not mixed up.
    weight = 'layer.warehouses.cells'
    assert not torch.equal(checkpoint['state_dict'][weight], checkpoint['ema_state_dict'][f'module.{weight}'])


@pytest.mark.parametrize('method', ['ODConv', 'DYConv'])
def test_the_average_has_the_models_temperature_in_other_methods(train, tmp_path, method):
    model = train(True, True, 'mmengine.EMAHook', layer=LAYERS[method]()).model
    taus = published(3 * EPOCH, 2 * EPOCH, method)
    assert model.temperatures(training=True) == pytest.approx(taus)
    assert model.temperatures(training=False) == pytest.approx([taus[EPOCH - 1]] * EPOCH + [taus[-1]] * EPOCH)
    checkpoint = saved(tmp_path, True)
    assert checkpoint['state_dict']['layer.1.tau'] == checkpoint['ema_state_dict']['module.layer.1.tau'] == taus[-1]


def test_resumed_at_the_models_temperature(train, tmp_path):
    train(True, True, 'mmengine.EMAHook')
    ema = dict(type='mmengine.EMAHook', momentum=0.1, update_buffers=True)
    runner = make_runner(tmp_path, dict(end=3), epochs=3, val=True, hooks=[ema], resume=True)
    runner.train()
    assert runner.model.temperatures(training=True) == pytest.approx(published(3 * EPOCH, 3 * EPOCH)[2 * EPOCH :])
    assert runner.model.temperatures(training=False) == [0] * EPOCH


def test_tested_at_the_temperature_that_was_saved(train, tmp_path):
    train(True, True, 'mmengine.EMAHook')
    ema = dict(type='mmengine.EMAHook', momentum=0.1, update_buffers=True)
    loops = make_runner(tmp_path, dict(end=3), val=True)
    runner = make_runner(
        tmp_path,
        dict(end=3),
        hooks=[ema],
        test_dataloader=loops._val_dataloader,
        test_cfg={},
        test_evaluator=loops._val_evaluator,
        load_from=str(tmp_path / 'epoch_2.pth'),
    )
    runner.test()
    assert runner.model.temperatures(training=False) == pytest.approx([1 / 3] * EPOCH)


def test_an_average_of_another_budget_is_refused(train, tmp_path):
    train(True, True, 'mmengine.EMAHook')
    hooks = [dict(type='mmengine.EMAHook')]
    runner = make_runner(tmp_path, dict(end=3), epochs=3, layer=KWLinear(4, 4, budget=2), hooks=hooks, resume=True)
    with pytest.raises(MisfitError, match='it has 1 layer, budget b = 1, .* the model has 1 layer, budget b = 2'):
        runner.train()
