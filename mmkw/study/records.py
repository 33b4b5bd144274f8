"""What a run leaves in its folder: what it depends on from its start, and its result once it has ended."""

import json
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from mmengine.config import Config

from mmkw.checkpoints.files import write_json
from mmkw.config import LaunchError
from mmkw.demo.figures import read_scalars

from .plan import Run

STARTED, RESULT, CONFIG, LOG = 'started.json', 'result.json', 'config.py', 'output.txt'

_PRINTED = re.compile(r'Epoch\(train\) +\[(\d+)\]\[ *(\d+)/(\d+)\]')  # as mmengine's LogProcessor does

Scalars = dict[str, list[tuple[int, float]]]


def read_json(path: Path) -> Optional[dict[str, Any]]:
    """What a file holds; None if there is none."""
    return json.loads(path.read_text()) if path.is_file() else None


def adopt(runs: Sequence[Run], report: Path) -> int:
    """Give runs the results that a report has of them, so that a study goes on where only its report is left.

    Args:
        runs: Of the study. Those with anything in their folders already keep it.
        report: The ``NAME.json`` that the study wrote.

    Returns:
        How many results were taken over.

    Raises:
        LaunchError: If it is no report, or has a run that the study has not. Nothing was written then.
    """
    try:
        results = {(result['name'], result['seed']): result for result in (read_json(report) or {})['runs']}
        if not all(result['provenance'] for result in results.values()):
            raise KeyError('provenance')
    except (KeyError, TypeError, ValueError) as error:
        raise LaunchError(f'{report} is no report of a study: give the NAME.json that tools/study.py wrote') from error
    own = {(run.name, run.seed): run for run in runs}
    for name, seed in results:
        if (name, seed) not in own:
            raise LaunchError(f'{report} has a result of {name!r}, seed {seed}, and the study no such run')
    lacking = [key for key in results if not any((own[key].folder / name).is_file() for name in (RESULT, STARTED))]
    for key in lacking:
        own[key].folder.mkdir(parents=True, exist_ok=True)
        write_json(own[key].folder / RESULT, results[key])
    return len(lacking)


def scalars_of(folder: Path) -> Scalars:
    """All scalars that a run has logged, in order; what a resumed training did again counts in its last version."""
    merged: dict[str, dict[int, float]] = {}
    for path in sorted(folder.glob('*/vis_data/scalars.json')):
        for name, pairs in read_scalars(path, growing=True).items():
            merged.setdefault(name, {}).update(pairs)
    return {name: sorted(values.items()) for name, values in merged.items()}


def length_of(cfg: Config) -> int:
    """Length of a training in epochs, or in iterations where its loop counts these.

    Raises:
        LaunchError: If the config does not say.
    """
    loop = cfg.get('train_cfg') or {}
    length = loop.get('max_epochs') or loop.get('max_iters')
    if not length:
        raise LaunchError(f'{cfg.filename}: a study needs train_cfg.max_epochs or max_iters, got {loop!r}')
    return length


def progress(folder: Path, cfg: Config) -> float:
    """How much of a run is done, between 0 and 1, as far as its log tells."""
    scalars = scalars_of(folder)
    if not scalars.get('loss'):
        return 0.0
    if not cfg.train_cfg.get('max_epochs'):
        return min(scalars['loss'][-1][0] / length_of(cfg), 1.0)
    # The scalars have the epoch that an iteration is in, but only what is printed says how many an epoch has.
    printed = _PRINTED.findall((folder / LOG).read_text(errors='replace')) if (folder / LOG).is_file() else []
    if printed:
        epoch, iteration, iterations = map(int, printed[-1])
        return (epoch - 1 + iteration / iterations) / length_of(cfg)
    epoch = scalars['epoch'][-1][1] if scalars.get('epoch') else 1
    return (epoch - 0.5) / length_of(cfg)


def result_of(run: Run, cfg: Config, metrics: Sequence[str], started: Mapping[str, Any]) -> dict[str, Any]:
    """The result of a run that has ended.

    Args:
        run: The run.
        cfg: Its config.
        metrics: Keys that its validation logs.
        started: What was noted at its start.

    Raises:
        LaunchError: If a metric was not measured at the end of the training.
    """
    scalars, length = scalars_of(run.folder), length_of(cfg)
    for key in metrics:
        if key not in scalars:
            measured = [name for name in scalars if '/' in name]
            raise LaunchError(f'{run}: {key!r} was not measured; what was is {", ".join(measured) or "nothing"}')
        last = scalars[key][-1][0]
        if last < length:
            raise LaunchError(f'{run}: {key!r} was last measured after {last} of {length}, not at the end')
    times = [value for _, value in scalars.get('time', [])]
    losses = [value for _, value in scalars.get('loss', [])]
    return {
        **started,
        'metrics': {key: scalars[key][-1][1] for key in metrics},
        'curves': {key: scalars[key] for key in metrics},
        'training_loss': statistics.mean(losses[-max(len(losses) // length, 1) :]) if losses else None,
        'step_seconds': statistics.median(times) if times else None,
        'iterations': scalars['loss'][-1][0] if losses else None,
    }
