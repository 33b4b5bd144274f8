"""The folder of handwritten digits."""

import cv2
import numpy as np
import pytest

from mmkw.demo import digits


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp('data') / 'digits'
    assert digits.generate(out, train=30, val=20)
    return out


def numbers(split):
    return sorted(int(path.stem) for path in split.glob('*/*.png'))


def test_the_first_train_and_the_next_are_held_out(folder):
    assert numbers(folder / 'train') == list(range(30))
    assert numbers(folder / 'val') == list(range(30, 50))


def test_pixels_and_classes_are_scikit_learns(folder):
    from sklearn.datasets import load_digits

    images, target = load_digits(return_X_y=True)
    for path in folder.glob('*/*/*.png'):
        number = int(path.stem)
        assert int(path.parent.name) == target[number]
        picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(float)
        assert np.abs(picture * 16 / 255 - images[number].reshape(8, 8)).max() < 0.5


def test_a_split_without_a_digit_has_its_folder(tmp_path):
    """A label is the place of a folder's name, so a folder that is not there would change those after it."""
    digits.generate(tmp_path / 'out', train=30, val=10)
    for split in ('train', 'val'):
        assert sorted(path.name for path in (tmp_path / 'out' / split).iterdir()) == list('0123456789')
    assert any(not any(path.iterdir()) for path in (tmp_path / 'out' / 'val').iterdir())


def test_a_second_time_nothing_is_written(folder):
    assert not digits.generate(folder, train=30, val=20)


def test_another_size_takes_its_place(tmp_path):
    digits.generate(tmp_path / 'out', train=30, val=20)
    assert digits.generate(tmp_path / 'out', train=10, val=10)
    assert numbers(tmp_path / 'out' / 'train') == list(range(10))
    assert [path.name for path in tmp_path.iterdir()] == ['out']


def test_foreign_files_are_left_alone(tmp_path):
    (tmp_path / 'thesis.tex').write_text('')
    with pytest.raises(FileExistsError, match='no digits data set'):
        digits.generate(tmp_path, train=10, val=10)


@pytest.mark.parametrize('sizes', [dict(train=9), dict(val=9), dict(train=900, val=898)])
def test_sizes_out_of_range(tmp_path, sizes):
    with pytest.raises(ValueError, match='at least 10 each and 1797 together, got'):
        digits.generate(tmp_path / 'out', **sizes)
