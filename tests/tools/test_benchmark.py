"""The benchmark runs and prints its rows; tests do not check how fast anything is."""

import json

import pytest

from benchmark import shapes
from benchmark.__main__ import main
from benchmark.arguments import workload
from benchmark.methods import COMPARED, COMPARED_ROWS, METHODS, table
from benchmark.parts import PARTS
from running import run_tool


@pytest.mark.slow
def test_prints_and_writes_a_row(tmp_path):
    options = ['r18,1x,train,2,32x32', '--repeat', '1', '--json', 'figures.json', '--threads', '1']
    printed = run_tool('benchmark', *options, cwd=tmp_path)
    assert '| r18 1x, train step, batch 2, 32x32 |' in printed
    (row,) = json.loads((tmp_path / 'figures.json').read_text())['rows']
    assert row['seconds'].keys() == {'plain', 'method', 'textbook', 'floor'}
    assert row['peak_bytes']['textbook'] > 0
    assert [path.name for path in tmp_path.iterdir()] == ['figures.json']


@pytest.mark.parametrize('method, has_floor', [('dyconv4x', True), ('eca', False)])
def test_a_row_of_another_method(monkeypatch, capsys, method, has_floor):
    monkeypatch.setattr('sys.argv', ['benchmark', f'r18,{method},test,1,32x32', '--repeat', '1', '--no-memory'])
    main()
    cells = capsys.readouterr().out.splitlines()[-1].strip('| ').split(' | ')
    assert cells[0] == f'r18 {method}, inference, batch 1, 32x32'
    assert all(float(cell) > 0 for cell in cells[1:6])
    assert (cells[6] != '-') == has_floor  # only what mixes kernels from a bank has products to measure alone
    assert cells[7:] == ['-'] * 3


def test_the_table_of_all_methods():
    assert set(METHODS) < set(COMPARED) and len(COMPARED_ROWS) == 4 * len(COMPARED)
    rows = [
        dict(
            vars(workload(f'{backbone},{method},{mode},16,224x224')),
            seconds=dict(plain=2.0, method=3.0),
            peak_bytes=dict(plain=2**20, method=2**21) if mode == 'train' else {},
        )
        for backbone, method, mode in (('r18', 'se', 'train'), ('r18', '4x', 'train'), ('r50', '4x', 'test'))
    ]
    lines = [line.strip('| ').split(' | ') for line in table(rows).splitlines()]
    assert lines[0][:3] == ['method', 'R18 train', 'R18 test']
    assert lines[2:] == [
        ['plain, s and MB', '2', '-', '-', '2', '1', '-', '-', '-'],
        ['SE', '1.50', '-', '-', '-', '2.00', '-', '-', '-'],
        ['KernelWarehouse 4x', '1.50', '-', '-', '1.50', '2.00', '-', '-', '-'],
    ]


@pytest.mark.slow
def test_shapes_of_a_backbone(tmp_path):
    printed = run_tool('benchmark/shapes.py', 'r18,1x,train,2,32x32', '--repeat', '1', cwd=tmp_path)
    rows = [line for line in printed.splitlines() if line.startswith('| 512x512x3x3, 2x512x1x1')]
    assert len(rows) == 1


@pytest.mark.slow
@pytest.mark.parametrize('row', ['r18,1x,train,2,64x64', 'r18,4x,test,16,64x64'])
def test_parts_of_a_step(tmp_path, row):
    printed = run_tool('benchmark/parts.py', row, '--repeat', '1', '--threads', '1', cwd=tmp_path)
    parts = dict(line.strip('| ').split(' | ') for line in printed.splitlines() if line.startswith('| '))
    assert parts.keys() == {'part', 'plain, whole step', 'method, whole step', *PARTS, 'rest'}
    assert 0 < int(parts['mixing kernels']) < int(parts['method, whole step'])


@pytest.mark.slow
def test_the_detector_in_channels_last(tmp_path):
    options = ['mbv2,1x,test,1,64x64', '--repeat', '1', '--detector', '--channels-last', '--no-memory']
    assert '| mbv2 1x, inference, batch 1, 64x64 |' in run_tool('benchmark', *options, cwd=tmp_path)


def test_shapes_are_of_kernel_warehouse(monkeypatch, capsys):
    monkeypatch.setattr('sys.argv', ['shapes.py', 'r18,se,train,2,32x32'])
    with pytest.raises(SystemExit):
        shapes.main()
    assert 'give a budget in place of se' in capsys.readouterr().err


@pytest.mark.parametrize(
    'options, message',
    [
        (['r51,1x,train,2,32x32'], "unknown backbone 'r51'"),
        (['r50,1x,train,1,32x32'], 'batch must be at least 2, got 1'),
        (['r50,fast,train,2,32x32'], 'budget must be'),
        (['r50,1x'], 'write BACKBONE,METHOD,train|test,BATCH,HEIGHTxWIDTH'),
        (['r50,odconv,train,2,32x32'], 'a budget of KernelWarehouse or one of se, cbam'),
        (['--methods', 'r50,1x,train,2,32x32'], '--methods has rows of its own'),
        (['--repeat', '0'], '--repeat must be at least 1, got 0'),
        (['--detector', '--amp'], '--detector --amp needs --device cuda'),
    ],
)
def test_bad_arguments(monkeypatch, capsys, options, message):
    monkeypatch.setattr('sys.argv', ['benchmark', *options])
    with pytest.raises(SystemExit):
        main()
    assert message in capsys.readouterr().err
