"""The benchmark runs and prints its rows; tests do not check how fast anything is."""

import json

import pytest

from benchmark.__main__ import main
from benchmark.parts import PARTS
from running import run_tool


@pytest.mark.slow
def test_prints_and_writes_a_row(tmp_path):
    options = ['r18,1x,train,2,32x32', '--repeat', '1', '--json', 'figures.json', '--threads', '1']
    printed = run_tool('benchmark', *options, cwd=tmp_path)
    assert '| r18 1x, train step, batch 2, 32x32 |' in printed
    (row,) = json.loads((tmp_path / 'figures.json').read_text())['rows']
    assert row['seconds'].keys() == {'plain', 'kw', 'textbook', 'floor'}
    assert row['peak_bytes']['textbook'] > 0
    assert [path.name for path in tmp_path.iterdir()] == ['figures.json']


@pytest.mark.slow
def test_shapes_of_a_backbone(tmp_path):
    printed = run_tool('benchmark/shapes.py', 'r18,1x,train,2,32x32', '--repeat', '1', cwd=tmp_path)
    rows = [line for line in printed.splitlines() if line.startswith('| 512x512x3x3, 2x512x1x1')]
    assert len(rows) == 1


@pytest.mark.slow
def test_parts_of_a_step(tmp_path):
    printed = run_tool('benchmark/parts.py', 'r18,1x,train,2,64x64', '--repeat', '1', '--threads', '1', cwd=tmp_path)
    parts = dict(line.strip('| ').split(' | ') for line in printed.splitlines() if line.startswith('| '))
    assert parts.keys() == {'part', 'plain, whole step', 'kw, whole step', *PARTS, 'rest'}
    assert 0 < int(parts['mixing kernels']) < int(parts['kw, whole step'])


@pytest.mark.slow
def test_the_detector_in_channels_last(tmp_path):
    options = ['mbv2,1x,test,1,64x64', '--repeat', '1', '--detector', '--channels-last', '--no-memory']
    assert '| mbv2 1x, inference, batch 1, 64x64 |' in run_tool('benchmark', *options, cwd=tmp_path)


@pytest.mark.parametrize(
    'options, message',
    [
        (['r51,1x,train,2,32x32'], "unknown backbone 'r51'"),
        (['r50,1x,train,1,32x32'], 'batch must be at least 2, got 1'),
        (['r50,fast,train,2,32x32'], 'budget must be'),
        (['r50,1x'], 'write BACKBONE,BUDGET,train|test,BATCH,HEIGHTxWIDTH'),
        (['--repeat', '0'], '--repeat must be at least 1, got 0'),
        (['--detector', '--amp'], '--detector --amp needs --device cuda'),
    ],
)
def test_bad_arguments(monkeypatch, capsys, options, message):
    monkeypatch.setattr('sys.argv', ['benchmark', *options])
    with pytest.raises(SystemExit):
        main()
    assert message in capsys.readouterr().err
