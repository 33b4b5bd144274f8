"""A study file: which configs are trained with which seeds, and what is compared."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional, Union

from mmengine.config import Config

from mmkw.config import LaunchError, read_config

_KEYS = ('name', 'work_dir', 'runs', 'baseline', 'metrics', 'shape')
_RUN_KEYS = ('name', 'config', 'seeds', 'cfg_options')


@dataclass(frozen=True)
class Run:
    """One training of a study.

    Args:
        name: What is compared under this name, such as ``'KW 1x'``; its seeds make a row of the table.
        config: The config file.
        seed: The training's seed.
        folder: Where its logs, checkpoints and result go.
        cfg_options: Changes to the config, by dotted names.
    """

    name: str
    config: Path
    seed: int
    folder: Path
    cfg_options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f'{self.name}, seed {self.seed}'

    def settings(self) -> Config:
        """The config as it is trained, but for the work dir.

        Raises:
            LaunchError: If there is no such file.
        """
        return read_config(self.config, {**self.cfg_options, 'randomness.seed': self.seed})


@dataclass(frozen=True)
class Study:
    """What a study file says.

    Args:
        name: Of the study.
        work_dir: Folder of all its runs.
        runs: In the order in which they are trained: the first seed of every name, then the second.
        names: In the order of the table.
        metrics: Keys that validation logs, such as ``'accuracy/top1'`` or ``'coco/bbox_mAP'``.
        baseline: Name of the runs whose time per step is 1. Default: None, no such column.
        shape: Height and width of the image that multiply-adds are counted for. Default: None, they are not.
    """

    name: str
    work_dir: Path
    runs: tuple[Run, ...]
    names: tuple[str, ...]
    metrics: tuple[str, ...]
    baseline: Optional[str] = None
    shape: Optional[tuple[int, int]] = None


def read_study(path: Union[str, Path], work_dir: Union[str, Path, None] = None) -> Study:
    """Read a study file, a Python config of these names:

    - ``name``: of the study;
    - ``runs``: a list of ``dict(name=..., config=..., seeds=[0, 1, 2], cfg_options={...})``, where a config's path is
      relative to the study file and ``cfg_options`` may be left out;
    - ``metrics``: a list of keys that validation logs, the most important first;
    - ``baseline``: name of the runs that others' time is compared with (may be left out);
    - ``shape``: height and width of an image for the multiply-adds (may be left out);
    - ``work_dir``: folder of the runs; ``work_dirs/<name>`` if left out.

    Args:
        path: The file.
        work_dir: Another folder of the runs. Default: None, as the file says.

    Raises:
        LaunchError: If something is missing or unknown, is there twice, or names a config that is not there.
    """
    if not Path(path).is_file():
        raise LaunchError(f'there is no study {path} (in {Path.cwd()})')
    cfg = Config.fromfile(path, lazy_import=False).to_dict()
    _check_keys(cfg, _KEYS, ('name', 'runs', 'metrics'), str(path))
    folder = Path(work_dir or cfg.get('work_dir') or Path('work_dirs') / cfg['name'])
    runs = [run for entry in cfg['runs'] for run in _runs_of(entry, Path(path), folder)]
    names = tuple(entry['name'] for entry in cfg['runs'])
    folders = [run.folder for run in runs]
    for run in runs:
        if folders.count(run.folder) > 1:
            raise LaunchError(f'{path}: several runs would go to {run.folder}; give every one another name or seed')
    if cfg.get('baseline') not in (None, *names):
        raise LaunchError(f'{path}: baseline is {cfg["baseline"]!r}, and the runs are {", ".join(names)}')
    if not cfg['metrics'] or isinstance(cfg['metrics'], str):
        raise LaunchError(f"{path}: metrics must list keys such as 'accuracy/top1', got {cfg['metrics']!r}")
    shape = cfg.get('shape')
    if shape is not None and (not isinstance(shape, Sequence) or len(shape) != 2):
        raise LaunchError(f'{path}: shape must be a height and a width, got {shape!r}')
    seed_number = {id(run): [r.seed for r in runs if r.name == run.name].index(run.seed) for run in runs}
    return Study(
        cfg['name'],
        folder,
        tuple(sorted(runs, key=lambda run: seed_number[id(run)])),
        names,
        tuple(cfg['metrics']),
        cfg.get('baseline'),
        None if shape is None else tuple(shape),
    )


def _check_keys(given: Mapping[str, Any], known: Sequence[str], needed: Sequence[str], place: str) -> None:
    for key in given:
        if key not in known:
            raise LaunchError(f'{place}: {key!r} means nothing there; known are {", ".join(known)}')
    for key in needed:
        if not given.get(key):
            raise LaunchError(f'{place}: {key} is missing')


def _runs_of(entry: Mapping[str, Any], path: Path, folder: Path) -> list[Run]:
    _check_keys(entry, _RUN_KEYS, ('name', 'config', 'seeds'), f'{path}, runs')
    config = path.parent / entry['config']
    if not config.is_file():
        raise LaunchError(f'{path}: there is no config {config}; paths are relative to the study file')
    stem = re.sub(r'[^A-Za-z0-9.]+', '_', entry['name']).strip('_')
    options = entry.get('cfg_options') or {}
    return [Run(entry['name'], config, seed, folder / f'{stem}_seed{seed}', options) for seed in entry['seeds']]
