"""Draw learning rate and temperature of a config over its training into one picture. No data is needed.

python tools/plot_schedule.py configs/imagenet/kw1x_r50_in1k.py --out schedule.png
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from matplotlib.figure import Figure

from command_line import config_parser, load_config, or_exit, picture_path
from mmkw.demo.figures import save, tidy
from mmkw.engine.schedule import Schedule, trace_schedule


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = config_parser(__doc__)
    parser.add_argument(
        '--iters-per-epoch',
        type=int,
        default=500,
        metavar='N',
        help='length of an epoch; settings in iterations keep their length (default: %(default)s)',
    )
    parser.add_argument('--out', type=Path, help='the picture, a .png (default: <name of the config>_schedule.png)')
    args = parser.parse_args(argv)
    out = picture_path(parser, args, 'schedule')
    with or_exit(ValueError):
        schedule = trace_schedule(load_config(args), args.iters_per_epoch)
    save(plot(schedule, args.iters_per_epoch, Path(args.config).stem), out)
    print(f'{out}: {len(schedule.learning_rates)} iterations')


def plot(schedule: Schedule, iterations_per_epoch: int, title: str) -> Figure:
    """Draw the learning rate above and the temperature, if the config has one, below, over epochs."""
    curves = [('learning rate', schedule.learning_rates, '#0072b2')]
    if schedule.temperatures:
        curves.append(('temperature', schedule.temperatures, '#d55e00'))
    figure = Figure(figsize=(8, 1 + 2.2 * len(curves)), layout='constrained')
    figure.suptitle(f'{title} ({iterations_per_epoch} iterations per epoch)')
    epochs = [iteration / iterations_per_epoch for iteration in range(len(schedule.learning_rates))]
    for axes, (name, values, colour) in zip(figure.subplots(len(curves), sharex=True, squeeze=False).flat, curves):
        axes.plot(epochs, values, color=colour)
        axes.set(ylabel=name, ylim=(0, None))
        tidy(axes)
    axes.set_xlabel('epoch')
    return figure


if __name__ == '__main__':
    main()
