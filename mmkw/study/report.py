"""The table and the figure of a study."""

import statistics
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from matplotlib.colors import TABLEAU_COLORS
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmkw.checkpoints.files import write_json, write_whole
from mmkw.config import LaunchError
from mmkw.demo.figures import save, tidy

from .plan import Study
from .provenance import difference
from .records import RESULT, read_json


def results_of(study: Study) -> dict[str, list[dict[str, Any]]]:
    """The results that there are, by name, in the order of the table.

    Raises:
        LaunchError: If they are of different code, or those of one name of different configs or data.
    """
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in study.names}
    code: dict[str, Any] = {}
    for run in study.runs:
        result = read_json(run.folder / RESULT)
        if result is None:
            continue
        own, of_name = result['provenance'], results[run.name]
        code.update(code or own['code'])
        differs = difference({**(of_name[0]['provenance'] if of_name else own), 'code': code}, own)
        if differs:
            raise LaunchError(f'{run.folder / RESULT} is of other {differs} than other results of {study.work_dir}')
        of_name.append(result)
    return results


def rows_of(study: Study, results: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """A row of figures for each name that has a result."""
    rows = []
    baseline = results.get(study.baseline or '', [])
    for name, runs in results.items():
        if not runs:
            continue
        rows.append(
            dict(
                name=name,
                runs=len(runs),
                planned=sum(run.name == name for run in study.runs),
                metrics={key: _spread([run['metrics'][key] for run in runs]) for key in study.metrics},
                parameters=runs[0]['parameters'],
                multiply_adds=runs[0]['multiply_adds'],
                step_over_baseline=_step_over(baseline, runs),
            )
        )
    return rows


def table(study: Study, rows: Sequence[dict[str, Any]], machines: Sequence[str], counted: Optional[str]) -> str:
    """The rows as Markdown."""
    head = ['', *study.metrics, 'runs', 'parameters, M', 'multiply-adds, M']
    if study.baseline:
        head.append(f'time per step over {study.baseline}')
    lines = [f'| {" | ".join(head)} |', '|' + '---|' * len(head)]
    for row in rows:
        cells = [row['name']]
        for spread in row['metrics'].values():
            std = '' if spread['std'] is None else f' ± {spread["std"]:.2g}'
            cells.append(f'{spread["mean"]:.4g}{std}')
        cells.append(f'{row["runs"]}' if row['runs'] == row['planned'] else f'{row["runs"]} of {row["planned"]}')
        cells.append(f'{row["parameters"] / 1e6:.3f}')
        cells.append('-' if row['multiply_adds'] is None else f'{row["multiply_adds"] / 1e6:.2f}')
        if study.baseline:
            cells.append('-' if row['step_over_baseline'] is None else f'{row["step_over_baseline"]:.2f}')
        lines.append(f'| {" | ".join(cells)} |')
    notes = 'Figures are those of the last epoch: mean, and standard deviation over seeds.'
    if study.shape and counted:
        notes += f' Multiply-adds: {counted}, one image of {study.shape[0]} x {study.shape[1]}.'
    return '\n'.join([*lines, '', f'{notes} Run on: {"; ".join(machines)}.', ''])


def plot(study: Study, results: dict[str, list[dict[str, Any]]]) -> Figure:
    """A line for each name: the mean of its runs, in a band from the lowest to the highest of them.

    The legend has the names in the order in which their lines end, from the top.
    """
    figure = Figure(figsize=(6.5 * len(study.metrics) + 2.5, 5), layout='constrained')
    grid = figure.subplots(1, len(study.metrics), squeeze=False)[0]
    # Two lines of one colour differ in their dashes; a palette of more colours has some that nobody tells apart.
    looks = [dict(color=colour, linestyle=dashes) for dashes in ('-', '--', ':', '-.') for colour in TABLEAU_COLORS]
    for axes, key in zip(grid, study.metrics):
        for number, (name, runs) in enumerate(results.items()):
            if not runs:
                continue
            curves = [dict(map(tuple, run['curves'][key])) for run in runs]
            # A resumed run may lack a validation that it was stopped in.
            steps = sorted(set.intersection(*map(set, curves)))
            values = [[curve[step] for curve in curves] for step in steps]
            look = looks[number % len(looks)]
            axes.plot(steps, [statistics.mean(v) for v in values], label=name, marker='o', markersize=3, **look)
            lowest, highest = [min(v) for v in values], [max(v) for v in values]
            axes.fill_between(steps, lowest, highest, color=look['color'], alpha=0.15)
        axes.set(title=key, xlabel='epoch')
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        tidy(axes)
    lines = sorted(grid[0].lines, key=lambda line: line.get_ydata()[-1], reverse=True)
    # A row's name may be a sentence.
    labels = [textwrap.fill(line.get_label(), 40) for line in lines]
    figure.legend(lines, labels, loc='outside right upper', frameon=False, handlelength=3)
    return figure


def write_report(study: Study, out: Path) -> Optional[str]:
    """Write ``NAME.md``, ``NAME.json`` and ``NAME.png`` of the results that there are.

    Args:
        study: The study.
        out: Folder to write into.

    Returns:
        The table; None if there is no result yet, and nothing was written.
    """
    results = results_of(study)
    every = [run for runs in results.values() for run in runs]
    if not every:
        return None
    rows = rows_of(study, results)
    text = table(study, rows, sorted({run['machine'] for run in every}), every[0]['counted'])
    write_whole(out / f'{study.name}.md', lambda name: Path(name).write_text(text))
    content = dict(study=study.name, baseline=study.baseline, metrics=study.metrics, shape=study.shape)
    write_json(out / f'{study.name}.json', dict(content, rows=rows, runs=every))
    save(plot(study, results), out / f'{study.name}.png')
    return text


def _step_over(baseline: Sequence[dict[str, Any]], runs: Sequence[dict[str, Any]]) -> Optional[float]:
    """Time per step over that of the baseline on the same machine; None if no two were on one."""
    base: dict[str, list[float]] = {}
    for run in baseline:
        if run['step_seconds']:
            base.setdefault(run['machine'], []).append(run['step_seconds'])
    ratios = [
        run['step_seconds'] / statistics.mean(base[run['machine']])
        for run in runs
        if run['step_seconds'] and run['machine'] in base
    ]
    return statistics.mean(ratios) if ratios else None


def _spread(values: Sequence[float]) -> dict[str, Optional[float]]:
    return dict(mean=statistics.mean(values), std=statistics.stdev(values) if len(values) > 1 else None)
