"""Draw how large the gradients of a config's network are at its start, at every temperature that training will set.

python tools/plot_gradients.py configs/study/mask_rcnn_kw_mbv2_nuclei.py --out gradients.png

Nothing is trained. If they grow by orders of magnitude, let the temperature fall slowly (TemperatureHook's end), hold
it above its end (end_value), or put LayerNorm into the attentions (docs/training.md).
"""

import statistics
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Optional

from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner, set_random_seed

from command_line import config_parser, load_config, or_exit, picture_path
from mmkw.checkpoints.files import write_json
from mmkw.config import LaunchError
from mmkw.demo.figures import save, tidy
from mmkw.engine.preflight import check_files
from mmkw.inspection import gradient_norms

RESTS = tuple(part / 10 for part in range(10, -1, -1))


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = config_parser(__doc__)
    parser.add_argument('--batches', type=int, default=4, help='of the training data; the median counts (default: 4)')
    parser.add_argument('--seed', type=int, default=0, help='of weights and batches (default: 0)')
    parser.add_argument('--out', type=Path, help='the picture, a .png (default: <name of the config>_gradients.png)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures to a file too')
    args = parser.parse_args(argv)
    out = picture_path(parser, args, 'gradients')
    if args.json and not args.json.parent.is_dir():
        parser.error(f'--json {args.json}: its folder does not exist')
    if args.batches < 1:
        parser.error(f'--batches must be at least 1, got {args.batches}')
    with or_exit(FileNotFoundError, ValueError):
        norms = norms_at_start(load_config(args), args.batches, args.seed)
    medians = [statistics.median(values) for values in norms]
    for rest, median in zip(RESTS, medians):
        print(f'{rest:.1f} of the schedule left: gradient norm {median:.3g}, {median / medians[0]:.3g} of the first')
    save(plot(medians, Path(args.config).stem), out)
    if args.json:
        command = ' '.join(['tools/plot_gradients.py', *(sys.argv[1:] if argv is None else argv)])
        write_json(args.json, dict(command=command, left=RESTS, norms=norms, medians=medians))


def norms_at_start(cfg: Config, batches: int, seed: int) -> list[list[float]]:
    """Gradient norms of a config's model as training would begin with it, at each of :data:`RESTS`.

    Raises:
        LaunchError: If the config has no model or no training data, or a file that it names is missing.
        ValueError: If no layer of the model has a temperature.
    """
    for name in ('model', 'train_dataloader'):
        if cfg.get(name) is None:
            raise LaunchError(f'config {cfg.filename} has no {name}')
    check_files(cfg)
    init_default_scope(cfg.default_scope)
    MMLogger.get_instance('plot_gradients').setLevel('WARNING')  # init_weights reports each parameter
    set_random_seed(seed)
    model = MODELS.build(cfg.model)
    model.init_weights()
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=seed)
    return gradient_norms(model, islice(loader, batches), RESTS)


def plot(norms: Sequence[float], title: str) -> Figure:
    """Draw gradient norms over the part of the schedule that is left, from its start to its end."""
    figure = Figure(figsize=(8, 3.2), layout='constrained')
    axes = figure.subplots()
    axes.plot(RESTS, norms, 'o-', color='#0072b2')
    axes.set(title=title, xlabel='part of the temperature schedule that is left', ylabel='gradient norm', yscale='log')
    axes.invert_xaxis()
    tidy(axes)
    return figure


if __name__ == '__main__':
    main()
