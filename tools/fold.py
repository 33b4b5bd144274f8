"""Fold a KernelWarehouse model to a plain checkpoint, for stock mmdet or mmpretrain.

Folding is exact at tau = 1 (a warm-started model before its temperature falls):
    python tools/fold.py CONFIG CHECKPOINT plain.pth

For any other model hold the attention at its mean over images. This loses accuracy, and the tool prints how much:
    python tools/fold.py CONFIG CHECKPOINT plain.pth --mean
"""

from collections.abc import Sequence
from typing import Optional

from command_line import launch_settings, or_exit, runner_parser
from mmkw.checkpoints.files import build_model, load_into
from mmkw.checkpoints.folded import write_folded
from mmkw.conversion import fold
from mmkw.engine.mean_folding import fold_at_mean


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = runner_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint of the model')
    parser.add_argument('target', help='the file to write')
    parser.add_argument('--plain-config', help='config of the plain model: check that it can load the file')
    parser.add_argument('--mean', action='store_true', help='hold the attention at its mean over a data set')
    parser.add_argument(
        '--over',
        choices=('train', 'val', 'test'),
        default='train',
        help='data set of --mean (default: train)',
    )
    parser.add_argument('--batches', type=int, default=50, help='how many of its batches are used (default: 50)')
    args = parser.parse_args(argv)
    with or_exit(FileNotFoundError, ValueError):
        settings = launch_settings(args)
        if args.mean:
            plain, lines = fold_at_mean(**settings, checkpoint=args.checkpoint, over=args.over, batches=args.batches)
        else:
            model = build_model(settings['config'])
            load_into(model, args.checkpoint)
            plain, lines = fold(model), ['exact: attention does not depend on the input']
        written = write_folded(plain, args.target, args.plain_config, source=args.checkpoint, config=args.config)
    print('\n'.join([*lines, f'wrote {written}']))


if __name__ == '__main__':
    main()
