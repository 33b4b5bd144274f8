"""Writes the real handwritten digits that scikit-learn ships as a folder of images.

They are the 1797 test images of the UCI set "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, 1998):
8 x 8 pixels in 17 shades, by 13 writers.
"""

import json
from pathlib import Path
from typing import Any, Optional, Union

import cv2
import numpy as np

from .folder import write_once

_VERSION = 2  # increase it whenever the files change, so that older folders are written anew
_GENERATOR = 'mmkw.demo.digits'
_SPLITS = ('train', 'val')
_INFO = 'info.json'


def generate(out_dir: Union[str, Path], train: int = 898, val: int = 899) -> bool:
    """Write ``{train,val}/<digit>/<number>.png``, a folder as mmpretrain's CustomDataset reads it.

    The first images of scikit-learn's file are for training and the following ones are held out, as in scikit-learn's
    own example of this data set.

    Args:
        out_dir: Folder to make. If it already holds the data set of these arguments, nothing is done; the data set of
            other arguments is replaced. The folder appears only when complete.
        train, val: Number of images, at least 10 each and 1797 together. Default: 898 and 899, all of them.

    Returns:
        True if the data set was written, False if it was there already.

    Raises:
        ValueError: If an argument is out of range.
        FileExistsError: If ``out_dir`` holds anything that this function did not write.
        ModuleNotFoundError: If scikit-learn is not installed.
    """
    if min(train, val) < 10 or train + val > 1797:
        raise ValueError(f'train and val must be at least 10 each and 1797 together, got {train} and {val}')
    info = dict(name='digits', generator=_GENERATOR, version=_VERSION, train=train, val=val)

    def write(folder: Path) -> None:
        from sklearn.datasets import load_digits  # takes a second, and only this demo needs it

        digits = load_digits()
        pictures = np.rint(digits.images * 255 / 16).astype(np.uint8)
        for split in _SPLITS:  # a digit's label is the place of its folder among all ten
            for digit in range(10):
                (folder / split / str(digit)).mkdir(parents=True)
        for number, (picture, digit) in enumerate(zip(pictures[: train + val], digits.target)):
            path = folder / _SPLITS[number >= train] / str(digit) / f'{number:04}.png'
            if not cv2.imwrite(str(path), picture):
                raise OSError(f'{path} could not be written; is the disk full?')
        (folder / _INFO).write_text(json.dumps(info))

    return write_once(out_dir, info, _info_of, write)


def _info_of(folder: Path) -> Optional[dict[str, Any]]:
    """The arguments that a folder was generated with; None if this module did not write the folder."""
    try:
        info = json.loads((folder / _INFO).read_text())
        names = {path.name for path in folder.iterdir()}
    except (OSError, ValueError):
        return None
    ours = isinstance(info, dict) and info.get('generator') == _GENERATOR
    return info if ours and names == {_INFO, *_SPLITS} else None
