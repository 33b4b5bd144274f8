"""The classifiers' demo from end to end, on a few digits: `make demo-classify` itself trains for minutes."""

import re

import pytest
from mmengine.config import Config

from running import ROOT, run_tool

pytestmark = pytest.mark.slow
STUDY = ROOT / 'configs' / 'study' / 'digits.py'


def test_trains_and_compares_all(tmp_path):
    assert 'data/digits: written' in run_tool('make_digits.py', 'data/digits', '--train', 48, '--val', 10, cwd=tmp_path)
    study = Config.fromfile(STUDY)
    for run in study.runs:
        run.config = str(STUDY.parent / run.config)
        run.seeds = [0]
        run.setdefault('cfg_options', {}).update({'train_cfg.max_epochs': 1, 'train_cfg.val_interval': 1})
    study.dump(tmp_path / 'digits.py')
    printed = run_tool('study.py', 'digits.py', '--jobs', 2, cwd=tmp_path)
    rows = re.findall(r'^\| ([^|]+) \| \d+(?:\.\d+)? \| 1 \|', printed, re.MULTILINE)
    assert rows == ['plain', 'KW 1x', 'KW 1x, LayerNorm in attentions', 'KW 1x, tau held at 0.5']


def test_too_many_digits(tmp_path):
    assert '1797' in run_tool('make_digits.py', 'digits', '--train', 1700, '--val', 98, cwd=tmp_path, status=2)
    assert not (tmp_path / 'digits').exists()
