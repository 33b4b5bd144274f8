"""A study with the real trainer: two tiny classifiers, an epoch each; one is stopped in its last validation."""

import json
import re

import cv2
import numpy as np
import pytest

from running import TINY_CLASSIFIER, run_tool

pytestmark = pytest.mark.slow

STUDY = f"""
name = 'two'
short = {{'train_cfg.max_epochs': 1, 'default_hooks.logger.interval': 1}}
runs = [
    dict(name='plain', config='{TINY_CLASSIFIER}', seeds=[0], cfg_options={{
        **short, 'model.backbone': dict(type='PlainResNet', depth=18, stem_channels=16, base_channels=16)}}),
    dict(name='KW 1x', config='{TINY_CLASSIFIER}', seeds=[0], cfg_options=short),
]
del short
baseline = 'plain'
metrics = ['accuracy/top1']
shape = (32, 32)
"""


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('study')
    for kind, level in (('dark', 60), ('light', 200)):
        (folder / 'images' / kind).mkdir(parents=True)
        for number in range(4):
            picture = np.full((32, 32, 3), level + number, np.uint8)
            cv2.imwrite(str(folder / 'images' / kind / f'{number}.png'), picture)
    (folder / 'two.py').write_text(STUDY)
    return folder


def study(folder, *arguments):
    return run_tool('study.py', 'two.py', *arguments, cwd=folder)


def test_trains_both_and_writes_the_table_once(folder):
    printed = study(folder, '--jobs', '2')
    assert re.search(r'^\| KW 1x \| \d+(\.\d+)? \| 1 \| \d\.\d+ \| \d+\.\d+ \| \d+\.\d\d \|$', printed, re.MULTILINE)
    content = json.loads((folder / 'work_dirs' / 'two' / 'two.json').read_text())
    assert [run['name'] for run in content['runs']] == ['plain', 'KW 1x']
    assert all(run['metrics']['accuracy/top1'] >= 0 and run['step_seconds'] > 0 for run in content['runs'])


def test_a_run_stopped_in_its_last_validation_gets_its_result(folder):
    run = folder / 'work_dirs' / 'two' / 'plain_seed0'
    result = json.loads((run / 'result.json').read_text())
    (run / 'result.json').unlink()
    (log,) = run.glob('*/vis_data/scalars.json')
    log.write_text(''.join(line for line in log.read_text().splitlines(True) if 'accuracy' not in line))
    printed = study(folder)
    assert 'two: 2 runs, 1 of them done' in printed and 'resumes: plain, seed 0' in printed
    assert json.loads((run / 'result.json').read_text())['metrics'] == result['metrics']
