"""The table and the figure."""

import json

import pytest

from mmkw.config import LaunchError
from mmkw.study.report import plot, results_of, write_report


@pytest.fixture
def done(tiny):
    tiny.run()
    return tiny


def test_the_table(done):
    text = write_report(done.study(), done.folder / 'out')
    head, _, plain, better, _, notes, *_ = text.splitlines()
    assert head == ('|  | accuracy/top1 | runs | parameters, M | multiply-adds, M | time per step over plain |')
    assert plain.startswith('| plain | 72.5 ± 0.71 | 2 | 0.04') and plain.endswith(' | 1.00 |')
    assert better.startswith('| better net | 82.5 ± 0.71 | 2 |') and better.endswith(' | 1.14 |')
    assert 'Multiply-adds: network, one image of 32 x 32.' in notes
    assert (done.folder / 'out' / 'tiny.md').read_text() == text
    assert (done.folder / 'out' / 'tiny.png').is_file()


def test_every_figure_is_in_the_json_with_its_runs(done):
    write_report(done.study(), done.folder)
    content = json.loads((done.folder / 'tiny.json').read_text())
    assert [row['metrics']['accuracy/top1']['mean'] for row in content['rows']] == [72.5, 82.5]
    assert len(content['runs']) == 4
    assert all(run['provenance']['code']['mmkw'] for run in content['runs'])


def test_one_run_has_no_spread_and_those_to_come_are_told(tiny):
    tiny.run()
    (tiny.folder / 'runs' / 'plain_seed1' / 'result.json').unlink()
    assert '| plain | 72 | 1 of 2 |' in write_report(tiny.study(), tiny.folder)


def test_times_of_different_machines_are_not_compared(done):
    for seed, line_ends in ((0, ' | 1.14 |'), (1, ' | - |')):
        path = done.folder / 'runs' / f'better_net_seed{seed}' / 'result.json'
        content = json.loads(path.read_text())
        path.write_text(json.dumps({**content, 'machine': 'another', 'step_seconds': 99.0}))
        assert write_report(done.study(), done.folder).splitlines()[3].endswith(line_ends)


def test_nothing_is_written_without_a_result(tiny):
    assert write_report(tiny.study(), tiny.folder / 'out') is None
    assert not (tiny.folder / 'out').exists()


def test_a_line_for_each_name_in_the_band_of_its_runs(done):
    (axes,) = plot(done.study(), results_of(done.study())).axes
    assert [line.get_label() for line in axes.lines] == ['plain', 'better net']
    assert axes.lines[1].get_ydata().tolist() == [81.5, 82.5]
    low, high = axes.collections[1].get_paths()[0].get_extents().intervaly
    assert (low, high) == (81, 83)


def test_no_two_of_thirty_lines_look_alike_and_the_legend_has_them_from_the_top(done):
    run = results_of(done.study())['plain'][0]
    ends = {f'row {number}': number * 7 % 30 for number in range(30)}
    figure = plot(
        done.study(), {name: [{**run, 'curves': {'accuracy/top1': [[1, 40], [2, end]]}}] for name, end in ends.items()}
    )
    looks = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}
    assert len(looks) == 30
    names = [text.get_text() for text in figure.legends[0].texts]
    assert names == sorted(ends, key=ends.get, reverse=True)


def test_a_single_validation_stands_at_its_epoch(done):
    runs = {
        name: [{**run, 'curves': {'accuracy/top1': [[3, 40]]}} for run in found]
        for name, found in results_of(done.study()).items()
    }
    (axes,) = plot(done.study(), runs).axes
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [3]


@pytest.mark.parametrize('part, key', [('code', 'mmkw'), ('config', 'settings'), ('data', 'images')])
def test_results_that_do_not_belong_together_are_refused(done, part, key):
    path = done.folder / 'runs' / 'plain_seed1' / 'result.json'
    content = json.loads(path.read_text())
    content['provenance'][part][key] = 'other'
    path.write_text(json.dumps(content))
    with pytest.raises(LaunchError, match=rf'plain_seed1/result.json is of other {part} \({key}\)'):
        write_report(done.study(), done.folder)
