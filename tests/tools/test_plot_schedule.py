"""plot_schedule.py draws the schedule of a config."""

import cv2
import pytest

import plot_schedule
from mmkw.engine.schedule import Schedule
from running import ROOT

KW, PLAIN = (str(ROOT / 'configs' / 'imagenet' / f'{name}_in1k.py') for name in ('kw1x_mbv2', 'mbv2'))


@pytest.mark.parametrize('config, panels', [(KW, 2), (PLAIN, 1)])
def test_draws_what_the_config_has(tmp_path, monkeypatch, capsys, config, panels):
    drawn = []
    monkeypatch.setattr(plot_schedule, 'save', lambda figure, path: drawn.append((figure, path)))
    plot_schedule.main([config, '--iters-per-epoch', '2', '--out', str(tmp_path / 'a.png')])
    (figure, path), *_ = drawn
    assert path == tmp_path / 'a.png'
    assert [axes.get_ylabel() for axes in figure.axes] == ['learning rate', 'temperature'][:panels]
    rate = figure.axes[0].lines[0]
    assert (len(rate.get_xdata()), rate.get_xdata()[-1], rate.get_ydata()[0]) == (300, 149.5, 0.05)
    assert '300 iterations' in capsys.readouterr().out


def test_temperature_panel():
    figure = plot_schedule.plot(Schedule([0.1, 0.2], [0.5, 0.0]), 1, 'title')
    assert figure.axes[1].lines[0].get_ydata().tolist() == [0.5, 0.0]


def test_the_picture_is_a_picture_and_nothing_else_is_left(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plot_schedule.main([PLAIN, '--iters-per-epoch', '1'])
    assert [path.name for path in tmp_path.iterdir()] == ['mbv2_in1k_schedule.png']
    assert cv2.imread('mbv2_in1k_schedule.png').std() > 0


@pytest.mark.parametrize(
    'arguments, message',
    [
        ([PLAIN, '--out', 'a.pdf'], '--out a.pdf: must be the name of a .png'),
        ([PLAIN, '--out', 'nowhere/a.png'], '--out nowhere/a.png: must be the name of a .png in a folder that exists'),
        (['nowhere.py'], 'there is no config nowhere.py'),
        ([PLAIN, '--iters-per-epoch', '0'], 'at least one iteration, got 0'),
    ],
)
def test_bad_options(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as error:
        plot_schedule.main(arguments)
    # argparse prints its own message; Python prints the message of an error when it exits.
    assert message in f'{error.value.code} {capsys.readouterr().err}'
    assert list(tmp_path.iterdir()) == []
