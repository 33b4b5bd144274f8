"""Writes a generated data set so that its folder is complete or absent."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional, Union


def write_once(
    out_dir: Union[str, Path],
    info: dict[str, Any],
    info_of: Callable[[Path], Optional[dict[str, Any]]],
    write: Callable[[Path], None],
) -> bool:
    """Write a data set into a folder, unless it is there already.

    Args:
        out_dir: Folder to make. A data set with another ``info`` is replaced. The folder appears only when complete.
        info: Arguments that the data set is generated from, and the version of the generator.
        info_of: Reads the ``info`` of a folder; returns None if the folder is not a data set of this kind.
        write: Makes a folder and fills it; called with its path.

    Returns:
        True if the data set was written, False if it was there already.

    Raises:
        FileExistsError: If ``out_dir`` holds anything else.
    """
    out = Path(out_dir).resolve()
    present = info_of(out)
    if present == info:
        return False
    if present is None and out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise FileExistsError(
            f'{out} holds files that are no {info["name"]} data set; choose another folder, or remove it first'
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f'.{out.name}-', dir=out.parent) as folder:
        new = Path(folder) / 'new'
        write(new)
        if out.exists():
            out.rename(Path(folder) / 'old')
        new.rename(out)
    return True
