"""Runs one small training, which all tests here share."""

import pytest

from mmkw.demo import shapes
from running import TINY_MASK_RCNN, run_tool


@pytest.fixture(scope='session')
def trained(tmp_path_factory):
    """A folder with the data set in `shapes`, an uninterrupted training of 4 epochs in `whole`, its output in `log`."""
    folder = tmp_path_factory.mktemp('tiny')
    shapes.generate(folder / 'shapes', seed=0, train=8, val=4, size=64)
    (folder / 'log').write_text(run_tool('train.py', TINY_MASK_RCNN, '--work-dir', 'whole', cwd=folder))
    return folder
