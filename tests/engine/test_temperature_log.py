"""The temperature is logged beside the learning rate."""

import json
import re
from pathlib import Path

import pytest
from small_training import EPOCH, make_runner, published
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

BY_EPOCH = pytest.mark.parametrize('by_epoch', [True, False], ids=['epoch based', 'iteration based'])


@pytest.fixture
def run(tmp_path):
    def run(by_epoch):
        backends = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
        runner = make_runner(
            tmp_path,
            dict(end=2),
            by_epoch=by_epoch,
            default_hooks=dict(logger=dict(type='LoggerHook', interval=1)),
            visualizer=dict(type='Visualizer', vis_backends=backends, name=tmp_path.name),
        )
        runner.train()
        return Path(runner.log_dir), runner

    return run


TAUS = published(2 * EPOCH, 3 * EPOCH)


@BY_EPOCH
def test_log_line(run, by_epoch):
    folder, runner = run(by_epoch)
    lines = re.findall(r'\(train\).* lr: 1\.0000e-02 .*', (folder / f'{runner.timestamp}.log').read_text())
    assert [re.search(r' temperature: (\S+)', line).group(1) for line in lines] == [f'{tau:.4f}' for tau in TAUS]


@BY_EPOCH
def test_scalars_file(run, by_epoch):
    folder, _ = run(by_epoch)
    rows = [json.loads(line) for line in (folder / 'vis_data' / 'scalars.json').read_text().splitlines()]
    assert [(row['step'], row['temperature']) for row in rows] == [
        (step, pytest.approx(tau)) for step, tau in enumerate(TAUS, start=1)
    ]


def test_tensorboard(run):
    folder, runner = run(True)
    runner.visualizer.close()
    events = EventAccumulator(str(folder / 'vis_data'))
    events.Reload()
    found = [(event.step, event.value) for event in events.Scalars('temperature')]
    assert found == [(step, pytest.approx(tau)) for step, tau in enumerate(TAUS, start=1)]
