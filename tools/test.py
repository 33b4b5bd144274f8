"""Evaluate a checkpoint with the test set and metrics of a config."""

import sys
from collections.abc import Sequence
from typing import Optional

from keep_memory import keep_memory

if __name__ == '__main__':
    keep_memory()

from command_line import launch_settings, or_exit, runner_parser  # noqa: E402
from mmkw.engine.launch import runner_to_test  # noqa: E402


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = runner_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', metavar='FILE.pkl', help='write the predictions to a pickle')
    parser.add_argument('--show-dir', metavar='FOLDER', help='draw predictions into this folder of the run')
    args = parser.parse_args(argv)
    with or_exit():
        runner = runner_to_test(
            **launch_settings(args), checkpoint=args.checkpoint, out=args.out, show_dir=args.show_dir
        )
        runner.test()


if __name__ == '__main__':
    main(sys.argv[1:])
