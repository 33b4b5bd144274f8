"""Draw learning rate and temperature of a config over its training into one picture; needs no data.

python tools/plot_schedule.py configs/imagenet/kw1x_r50_in1k.py --out schedule.png
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from matplotlib.figure import Figure
from mmengine.config import Config, DictAction

from mmkw.demo.figures import save
from mmkw.engine.schedule import Schedule, trace_schedule


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config')
    parser.add_argument(
        '--iters-per-epoch',
        type=int,
        default=500,
        metavar='N',
        help='length of an epoch; what the config gives in iterations keeps its length (default: %(default)s)',
    )
    parser.add_argument('--out', type=Path, help='the picture, a .png (default: <name of the config>_schedule.png)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='override settings of the config')
    args = parser.parse_args(argv)
    out = args.out or Path(f'{Path(args.config).stem}_schedule.png')
    if out.suffix != '.png' or not out.parent.is_dir():
        parser.error(f'--out {out}: must be the name of a .png in a folder that exists')
    if not Path(args.config).is_file():
        parser.error(f'there is no config {args.config}')

    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    try:
        schedule = trace_schedule(cfg, args.iters_per_epoch)
    except ValueError as error:
        parser.error(str(error))
    save(plot(schedule, args.iters_per_epoch, Path(args.config).stem), out)
    print(f'{out}: {len(schedule.learning_rates)} iterations')


def plot(schedule: Schedule, iterations_per_epoch: int, title: str) -> Figure:
    """Learning rate above, temperature (if the config has one) below, over epochs."""
    curves = [('learning rate', schedule.learning_rates, '#0072b2')]
    if schedule.temperatures:
        curves.append(('temperature', schedule.temperatures, '#d55e00'))
    figure = Figure(figsize=(8, 1 + 2.2 * len(curves)), layout='constrained')
    figure.suptitle(f'{title} ({iterations_per_epoch} iterations an epoch)')
    epochs = [iteration / iterations_per_epoch for iteration in range(len(schedule.learning_rates))]
    for axes, (name, values, colour) in zip(figure.subplots(len(curves), sharex=True, squeeze=False).flat, curves):
        axes.plot(epochs, values, color=colour)
        axes.set(ylabel=name, ylim=(0, None))
        axes.grid(color='#dddddd', linewidth=0.6)
        axes.spines[['top', 'right']].set_visible(False)
    axes.set_xlabel('epoch')
    return figure


if __name__ == '__main__':
    main()
