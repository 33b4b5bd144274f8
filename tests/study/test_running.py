"""Running, resuming and refusing, with trainings that only write logs."""

import fcntl
import json
import shutil
import signal
import subprocess
import sys
import time
from contextlib import nullcontext

import pytest

from mmkw.config import LaunchError
from mmkw.study.clock import time_left
from mmkw.study.records import adopt, progress
from mmkw.study.report import write_report
from running import ROOT

EVERY = ['plain_seed0', 'better_net_seed0', 'plain_seed1', 'better_net_seed1']


def result(tiny, folder):
    return json.loads((tiny.folder / 'runs' / folder / 'result.json').read_text())


def test_every_run_has_the_result_of_its_last_epoch(tiny):
    assert tiny.run() == []
    assert [call[0] for call in tiny.calls()] == EVERY
    found = result(tiny, 'better_net_seed1')
    assert found['metrics'] == {'accuracy/top1': 83}
    assert found['curves'] == {'accuracy/top1': [[1, 82], [2, 83]]}
    assert (found['name'], found['seed'], found['training_loss']) == ('better net', 1, 1)
    assert found['step_seconds'] == pytest.approx(0.8)


def test_several_at_once(tiny):
    assert tiny.run(jobs=4, threads=2) == []
    assert sorted(tiny.calls()) == sorted((name, '0', '2') for name in EVERY)


def test_finished_runs_are_not_run_again(tiny):
    tiny.run()
    tiny.run()
    assert len(tiny.calls()) == 4


def test_a_stopped_run_is_resumed_and_the_rest_is_kept(tiny):
    (tiny.folder / 'stop').write_text('1')
    (failure,) = tiny.run()
    assert failure.startswith('plain, seed 1 failed with exit status 3; the reason is in runs/plain_seed1/output.txt')
    assert tiny.run() == []
    assert tiny.calls()[4:] == [('plain_seed1', '1', '1')]
    assert result(tiny, 'plain_seed1')['curves'] == {'accuracy/top1': [[1, 72], [2, 73]]}


def test_a_study_goes_on_from_its_report_alone(tiny):
    report = tiny.folder / 'tiny.json'
    (tiny.folder / 'stop').write_text('1')
    tiny.run()
    write_report(tiny.study(), tiny.folder)
    before = json.loads(report.read_text())['runs']
    shutil.rmtree(tiny.folder / 'runs')
    assert adopt(tiny.study().runs, report) == 3
    assert tiny.run() == []
    assert tiny.calls()[4:] == [('plain_seed1', '0', '1')]
    write_report(tiny.study(), tiny.folder)
    after = json.loads(report.read_text())['runs']
    assert len(after) == 4 and all(run in after for run in before)
    assert adopt(tiny.study().runs, report) == 0


@pytest.mark.parametrize(
    'content, message',
    [
        ('{', 'no report'),
        ('[]', 'no report'),
        ('{"runs": [{"name": "plain", "seed": 0}]}', 'no report'),
        ('{"runs": [{"name": "other", "seed": 0, "provenance": {"code": {}}}]}', "'other', seed 0, and the study no"),
    ],
)
def test_what_cannot_be_adopted(tiny, content, message):
    (tiny.folder / 'report.json').write_text(content)
    with pytest.raises(LaunchError, match=message):
        adopt(tiny.study().runs, tiny.folder / 'report.json')
    assert not (tiny.folder / 'runs').exists()


LEAVES_A_WORKER = """
import fcntl, subprocess, time
lock = open('lock', 'w')
fcntl.flock(lock, fcntl.LOCK_EX)
subprocess.Popen(['sleep', '600'], pass_fds=[lock.fileno()])
open('started', 'w')
time.sleep({seconds})
"""


def assert_no_worker_is_left(folder):
    with open(folder / 'lock') as lock:
        for _ in range(100):
            try:
                return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.1)
    pytest.fail('the worker lives on')


@pytest.mark.parametrize('seconds', [600, 0], ids=['stopped', 'ended by itself'])
def test_what_a_training_started_ends_with_it(tiny, seconds):
    (tiny.folder / 'trainer.py').write_text(LEAVES_A_WORKER.format(seconds=seconds))
    tiny.change('study.py', 'seeds=[0, 1]', 'seeds=[0]')

    def interrupt(line):
        if seconds and (tiny.folder / 'started').exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) if seconds else nullcontext():
        tiny.run(say=interrupt, interval=0)
    assert_no_worker_is_left(tiny.folder)


# The signals may be ignored where these tests run, under nohup say, and a program inherits that.
TOOL = f"""
import signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, {str(ROOT / 'tools')!r})
sys.argv = ['study.py', 'study.py']
import study
study.TRAIN = 'trainer.py'
study.main()
"""


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=lambda number: number.name)
def test_the_tool_takes_its_trainings_along_when_it_is_stopped(tiny, number):
    (tiny.folder / 'trainer.py').write_text(LEAVES_A_WORKER.format(seconds=600))
    (tiny.folder / 'tool.py').write_text(TOOL)
    tool = subprocess.Popen([sys.executable, 'tool.py'], stderr=subprocess.PIPE, text=True)
    for _ in range(3000):
        if (tiny.folder / 'started').exists() or tool.poll() is not None:
            break
        time.sleep(0.1)
    tool.send_signal(number)
    _, said = tool.communicate(timeout=300)
    assert (tool.returncode, said) == (1, 'stopped; the same command goes on\n')
    assert_no_worker_is_left(tiny.folder)


@pytest.mark.parametrize(
    'name, old, new, part',
    [
        ('plain.py', 'level = 70', 'level = 71', 'config'),
        ('study.py', "'level': 80", "'level': 81", 'config'),
        ('images/cat/1.png', 'a', 'ab', 'data'),
    ],
)
def test_other_configs_and_data_are_refused(tiny, name, old, new, part):
    from mmkw.study import provenance

    tiny.run()
    tiny.change(name, old, new)
    provenance._data_hash.cache_clear()
    with pytest.raises(
        LaunchError, match=f'result.json is of other {part} .* remove the folder to train this run anew'
    ):
        tiny.run()
    assert len(tiny.calls()) == 4


def test_code_that_changes_while_a_study_runs_is_in_no_later_training(tiny, monkeypatch):
    monkeypatch.syspath_prepend(tiny.folder)
    module = tiny.folder / 'own_module.py'
    module.write_text('rate = 1')
    tiny.change('plain.py', "['mmkw']", "['mmkw', 'own_module']")

    def change_after_the_first(line):
        if line.startswith('done: plain, seed 0'):
            module.write_text('rate = 22')

    with pytest.raises(LaunchError, match=r'better net, seed 0 was to start, but there is other code \(own_module\)'):
        tiny.run(say=change_after_the_first)
    assert [call[0] for call in tiny.calls()] == EVERY[:1]


@pytest.mark.parametrize('file', ['result.json', 'started.json'])
def test_other_code_is_refused_for_finished_and_unfinished_runs(tiny, file):
    tiny.run()
    path = tiny.folder / 'runs' / 'plain_seed0' / file
    content = json.loads(path.read_text())
    content['provenance']['code']['mmkw'] = 'older'
    path.write_text(json.dumps(content))
    with pytest.raises(LaunchError, match=rf'{file} is of other code \(mmkw\) than now'):
        tiny.run()


def test_nothing_starts_without_the_data(tiny):
    shutil.rmtree(tiny.folder / 'images')
    with pytest.raises(LaunchError, match='missing: images'):
        tiny.run()
    assert tiny.calls() == []


def test_a_metric_that_is_not_measured(tiny):
    tiny.change('study.py', 'accuracy/top1', 'accuracy/top5')
    assert "'accuracy/top5' was not measured; what was is accuracy/top1" in tiny.run()[0]


def test_a_metric_that_is_not_of_the_last_epoch(tiny):
    tiny.change('plain.py', 'max_epochs=2', 'max_epochs=3')
    assert "'accuracy/top1' was last measured after 2 of 3, not at the end" in tiny.run()[0]


def test_two_programs_do_not_run_one_study(tiny):
    (tiny.folder / 'runs').mkdir()
    with open(tiny.folder / 'runs' / '.lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(LaunchError, match='another program is at work on the study in runs'):
            tiny.run()


def test_progress_is_told(tiny):
    (tiny.folder / 'slow').write_text('')
    tiny.run(interval=0)
    assert 'tiny: 4 runs, 0 of them done, in runs' in tiny.said[0]
    assert any('0 done; plain, seed 0 ' in line for line in tiny.said)
    assert any('min left' in line for line in tiny.said)


def test_progress_counts_iterations(tiny):
    tiny.run()
    run = tiny.study().runs[0]
    assert progress(run.folder, run.settings()) == 0.75  # in the second of two epochs, and no more is known
    with open(run.folder / 'output.txt', 'a') as output:
        output.write('mmengine - INFO - Epoch(train)  [2][ 30/120]  lr: 1e-3\nEpoch(val) [2][9/9]\n')
    assert progress(run.folder, run.settings()) == 0.625


@pytest.mark.parametrize(
    'left, seconds, jobs, words',
    [
        ([('a', 1.0), ('b', 0.5)], {'a': 600, 'b': 1200}, 1, 'about 20 min left'),
        ([('a', 1.0), ('b', 0.5)], {'a': 600, 'b': 1200}, 2, 'about 10 min left'),
        ([('a', 1.0), ('c', 1.0)], {'a': 3600, 'b': 7200}, 1, 'about 2 h 30 min left'),
        ([('a', 1.0)], {'a': 1200}, 4, 'about 20 min left'),
        ([('a', 1.0)], {}, 1, 'time left: not known yet'),
    ],
)
def test_time_left(left, seconds, jobs, words):
    assert time_left(left, seconds, jobs) == words
