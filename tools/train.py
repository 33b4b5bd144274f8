"""Train the model of a config: a detector, a classifier, or whatever else mmengine's Runner trains."""

import sys
import warnings
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from typing import Optional

from keep_memory import keep_memory

if __name__ == '__main__':
    keep_memory()

# Of mmengine, at every start; the first lines shall be what matters.
warnings.filterwarnings('ignore', message='pkg_resources is deprecated')

from mmkw.engine.launch import argument_parser, or_exit, runner_to_train  # noqa: E402


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from a checkpoint (default: the latest in the work dir)',
    )
    parser.add_argument(
        '--amp',
        nargs='?',
        const='bfloat16',
        type=half_precision,
        metavar='bfloat16|float16',
        help='train with automatic mixed precision, in bfloat16 unless the other is asked for',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate from the batch size that the config is for to that of this run',
    )


def half_precision(text: str) -> str:
    if text not in ('bfloat16', 'float16'):
        raise ArgumentTypeError(f'{text!r} is neither bfloat16 nor float16; the config comes before --amp')
    return text


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = argument_parser(__doc__)
    add_options(parser)
    args = parser.parse_args(argv)
    with or_exit():
        runner = runner_to_train(args)
        runner.train()


if __name__ == '__main__':
    main(sys.argv[1:])
