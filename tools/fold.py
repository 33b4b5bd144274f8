"""Fold a KernelWarehouse model to a plain checkpoint, for stock mmdet or mmpretrain.

At tau = 1 (a warm-started model before its temperature falls), exact:
    python tools/fold.py CONFIG CHECKPOINT plain.pth

Any other model, its attention held at its mean over images of the config, which loses accuracy; the loss is printed:
    python tools/fold.py CONFIG CHECKPOINT plain.pth --mean
"""

import sys
import warnings
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import Optional

# Of mmengine, at every start; the first lines shall be what matters.
warnings.filterwarnings('ignore', message='pkg_resources is deprecated')

from mmengine.config import Config  # noqa: E402

from mmkw.checkpoints.files import build_model, load_into  # noqa: E402
from mmkw.checkpoints.fold import fold, write_folded  # noqa: E402
from mmkw.engine.folding import fold_at_mean  # noqa: E402
from mmkw.engine.launch import argument_parser, or_exit  # noqa: E402


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argument_parser(__doc__)
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.add_argument('checkpoint', help='checkpoint of the model')
    parser.add_argument('target', help='the file to write')
    parser.add_argument('--plain-config', help='config of the plain model: check that it can load the file')
    parser.add_argument('--mean', action='store_true', help='hold the attention at its mean over a data set')
    parser.add_argument('--over', choices=('train', 'val', 'test'), default='train', help='data set of --mean')
    parser.add_argument('--batches', type=int, default=50, help='how many batches of it are used (default: 50)')
    args = parser.parse_args(argv)
    try:
        with or_exit():
            if args.mean:
                plain, lines = fold_at_mean(args)
            else:
                config = Config.fromfile(args.config)
                config.merge_from_dict(args.cfg_options or {})
                model = build_model(config)
                load_into(model, args.checkpoint)
                plain, lines = fold(model), ['exact: tau is 1']
        written = write_folded(plain, args.target, args.plain_config, source=args.checkpoint, config=args.config)
    except (FileNotFoundError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    print('\n'.join([*lines, f'wrote {written}']))
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
