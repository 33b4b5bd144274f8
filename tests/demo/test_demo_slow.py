"""The demo from end to end, on a handful of images: `make demo` itself trains for minutes."""

import pytest

from running import run_tool

pytestmark = pytest.mark.slow


def demo(folder, *options, status=0):
    paths = ['--work-dir', folder / 'work', '--data', folder / 'shapes']
    short = ['--train', '4', '--val', '2', '--cfg-options', 'train_cfg.max_epochs=1', 'train_cfg.val_interval=1']
    return run_tool('demo.py', *paths, *short, *options, cwd=folder, status=status)


def test_trains_evaluates_and_draws(tmp_path):
    printed = demo(tmp_path)
    assert [line for line in printed.splitlines() if line.startswith('AP ')]
    for name in ('curves.png', 'predictions.png'):
        assert (tmp_path / 'work' / name).is_file()


def test_a_failed_training_is_a_failed_demo(tmp_path):
    printed = demo(tmp_path, 'model.backbone.budget=nonsense', status=1)
    assert 'training ended with exit status' in printed
    assert not (tmp_path / 'work' / 'curves.png').exists()
