"""The learning rate and temperature of a config, iteration by iteration."""

import pytest
from mmengine.config import Config

from mmkw.engine.schedule import trace_schedule


def config(**changes):
    cfg = dict(
        model=dict(type='KWResNet', depth=18, base_channels=8, stem_channels=8),
        train_cfg=dict(by_epoch=True, max_epochs=4, val_interval=1),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.1, weight_decay=0.05)),
        param_scheduler=[dict(type='MultiStepLR', milestones=[1, 3], by_epoch=True)],
        custom_hooks=[dict(type='TemperatureHook', end=2), dict(type='EpochSeedHook')],
    )
    return Config(cfg | changes)


def test_an_epoch_based_training():
    schedule = trace_schedule(config(), 2)
    assert schedule.learning_rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.01, 0.01, 0.001, 0.001])
    assert schedule.temperatures == pytest.approx([0.75, 0.5, 0.25, 0, 0, 0, 0, 0])


def test_an_iteration_based_training():
    changes = dict(
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=5, val_interval=2),
        param_scheduler=dict(type='LinearLR', start_factor=0.5, end=3, by_epoch=False),
    )
    schedule = trace_schedule(config(**changes), 2)
    assert schedule.learning_rates == pytest.approx([0.05, 0.075, 0.1, 0.1, 0.1])
    assert schedule.temperatures == pytest.approx([0.75, 0.5, 0.25, 0, 0])


def converted(method):
    backbone = dict(type='PlainResNet', depth=18, base_channels=8, stem_channels=8)
    return dict(type='ConvertedBackbone', backbone=backbone, method=dict(type=method))


def test_the_temperature_is_that_of_the_models_layers():
    assert trace_schedule(config(model=converted('ODConv')), 2).temperatures[:5] == [22.75, 15.5, 8.25, 1, 1]


def test_of_hooks_for_parts_the_first_is_traced():
    classifier = dict(type='ImageClassifier', backbone=converted('ODConv'))
    hooks = [dict(type='TemperatureHook', end=2, part='backbone'), dict(type='TemperatureHook', end=1, part='neck')]
    schedule = trace_schedule(config(model=classifier, custom_hooks=hooks, default_scope='mmpretrain'), 2)
    assert schedule.temperatures[:5] == [22.75, 15.5, 8.25, 1, 1]


def test_a_hook_for_a_model_without_a_temperature():
    with pytest.raises(
        ValueError, match='ConvertedPlainResNet has no dynamic layer whose temperature the TemperatureHook'
    ):
        trace_schedule(config(model=converted('CGC')), 2)


def test_a_hook_among_the_default_hooks_counts():
    hooks = dict(temperature=dict(type='TemperatureHook', end=1), logger=dict(type='LoggerHook'), timer=None)
    assert trace_schedule(config(custom_hooks=[], default_hooks=hooks), 2).temperatures[:2] == [0.5, 0]


def test_a_plain_model_has_no_temperature_and_a_constant_rate_needs_no_scheduler():
    schedule = trace_schedule(config(custom_hooks=None, param_scheduler=None), 1)
    assert (schedule.learning_rates, schedule.temperatures) == ([0.1] * 4, [])


@pytest.mark.parametrize('missing', ['train_cfg', 'optim_wrapper'])
def test_a_config_that_does_not_train(missing):
    with pytest.raises(ValueError, match=r'needs train_cfg and optim_wrapper\.optimizer\.lr'):
        trace_schedule(config(**{missing: None}), 2)


def test_an_empty_epoch():
    with pytest.raises(ValueError, match='at least one iteration, got 0'):
        trace_schedule(config(), 0)
