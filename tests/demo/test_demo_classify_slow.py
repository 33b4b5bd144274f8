"""The classifiers' demo from end to end, on a few digits: `make demo-classify` itself trains for minutes."""

import re

import pytest

from running import run_tool

pytestmark = pytest.mark.slow


def demo(folder):
    paths = ['--work-dir', folder / 'work', '--data', folder / 'digits', '--train', '32', '--val', '10']
    short = ['--cfg-options', 'train_cfg.max_epochs=1', 'train_cfg.val_interval=1', 'default_hooks.logger.interval=1']
    return run_tool('demo_classify.py', *paths, *short, cwd=folder)


def test_trains_both_compares_and_draws(tmp_path):
    printed = demo(tmp_path)
    rows = re.findall(r'^(plain|KW 1x) +(\d+\.\d+) +(\S+)$', printed, re.MULTILINE)
    assert [(name, tau != '-') for name, _, tau in rows] == [('plain', False), ('KW 1x', True)]
    assert 'no evidence of which network is better' in printed
    assert (tmp_path / 'work' / 'curves.png').is_file()
