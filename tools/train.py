"""Train the model of a config: a detector, a classifier, or any other that mmengine's Runner trains."""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Optional

from keep_memory import keep_memory

if __name__ == '__main__':
    keep_memory()

from command_line import launch_settings, or_exit, runner_parser  # noqa: E402
from mmkw.engine.launch import runner_to_train, train  # noqa: E402

HALF_PRECISION = ('bfloat16', 'float16')


def parser() -> ArgumentParser:
    """Make the parser of this tool."""
    options = runner_parser(__doc__)
    options.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from a checkpoint (default: the latest in the work dir)',
    )
    options.add_argument(
        '--amp',
        choices=HALF_PRECISION,
        help='train with automatic mixed precision; --amp alone is in bfloat16',
    )
    options.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate from the batch size that the config is for to that of this run',
    )
    return options


def arguments(argv: Sequence[str]) -> dict:
    """Read the command line as arguments of :func:`mmkw.engine.launch.runner_to_train`."""
    # argparse would take the word after a bare --amp, such as the config, for its type.
    given = [
        '--amp=bfloat16' if word == '--amp' and next_word not in HALF_PRECISION else word
        for word, next_word in zip(argv, [*argv[1:], ''])
    ]
    args = parser().parse_args(given)
    return dict(launch_settings(args), resume=args.resume, amp=args.amp, auto_scale_lr=args.auto_scale_lr)


def main(argv: Optional[Sequence[str]] = None) -> None:
    with or_exit():
        train(runner_to_train(**arguments(sys.argv[1:] if argv is None else argv)))


if __name__ == '__main__':
    main(sys.argv[1:])
