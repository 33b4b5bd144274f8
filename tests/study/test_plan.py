"""Study files."""

import pytest

from mmkw.config import LaunchError


def test_the_first_seeds_come_first(tiny):
    assert [str(run) for run in tiny.study().runs] == [
        'plain, seed 0',
        'better net, seed 0',
        'plain, seed 1',
        'better net, seed 1',
    ]
    assert tiny.study().names == ('plain', 'better net')


def test_a_run_has_its_seed_and_options(tiny):
    cfg = tiny.study().runs[3].settings()
    assert (cfg.level, cfg.randomness.seed) == (80, 1)


@pytest.mark.parametrize(
    'old, new, message',
    [
        ("baseline = 'plain'", "baseline = 'KW'", "baseline is 'KW', and the runs are plain, better net"),
        ("baseline = 'plain'", "basline = 'plain'", "'basline' means nothing there; known are name, work_dir, runs"),
        ("name='plain', ", "name='plain', epochs=3, ", "'epochs' means nothing there"),
        ("config='plain.py', seeds=[0, 1])", "config='kw.py', seeds=[0, 1])", 'there is no config .*kw.py'),
        ('seeds=[0, 1])', 'seeds=[0, 0])', 'several runs would go to runs/plain_seed0'),
        ("name='better net'", "name='plain'", 'several runs would go to runs/plain_seed0'),
        ("['accuracy/top1']", "'accuracy/top1'", 'metrics must list keys'),
        ("metrics = ['accuracy/top1']", '', 'metrics is missing'),
        ('(32, 32)', '32', 'shape must be a height and a width, got 32'),
    ],
)
def test_what_is_wrong_is_named(tiny, old, new, message):
    tiny.change('study.py', old, new)
    with pytest.raises(LaunchError, match=message):
        tiny.study()
