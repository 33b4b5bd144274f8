"""plot_gradients.py measures a config's network on its own training data."""

import json

import cv2
import numpy as np
import pytest

import plot_gradients
from running import TINY_CLASSIFIER


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with images of two classes."""
    rng = np.random.default_rng(0)
    for number in range(8):
        path = tmp_path / 'images' / str(number % 2) / f'{number}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rng.integers(0, 255, (32, 32, 3), np.uint8))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_figure_and_json(folder, capsys):
    command = [str(TINY_CLASSIFIER), '--batches', '2', '--json', 'a.json']
    plot_gradients.main(command)
    found = json.loads((folder / 'a.json').read_text())
    assert found['command'].endswith('--batches 2 --json a.json')
    assert (found['left'][0], found['left'][-1]) == (1, 0)
    assert [len(row) for row in found['norms']] == [2] * 11
    assert found['medians'] == [sum(row) / 2 for row in found['norms']]
    assert f'0.0 of the schedule left: gradient norm {found["medians"][-1]:.3g}' in capsys.readouterr().out
    assert cv2.imread('tiny_classifier_gradients.png').std() > 0
    plot_gradients.main(command)
    assert json.loads((folder / 'a.json').read_text()) == found


@pytest.mark.parametrize(
    'arguments, message',
    [
        ((), 'images'),
        (('--batches', '0'), '--batches must be at least 1, got 0'),
        (('--out', 'a.pdf'), '--out a.pdf: must be the name of a .png'),
        (('--cfg-options', 'train_dataloader=None'), 'has no train_dataloader'),
        (('--json', 'nowhere/a.json'), '--json nowhere/a.json: its folder does not exist'),
    ],
    ids=['no data', 'no batch', 'no png', 'no loader', 'no folder'],
)
def test_bad_input_ends_in_one_sentence(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as error:
        plot_gradients.main([str(TINY_CLASSIFIER), *arguments])
    assert message in f'{error.value.code} {capsys.readouterr().err}'
    assert list(tmp_path.iterdir()) == []
