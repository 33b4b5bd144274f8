"""What the tools share: a warnings filter, the parsers for a config and its options, and how errors end a program.

Heavy packages are imported where they are needed, since some tools start themselves again first.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# These tools work with the mmkw beside them, not with that of another checkout which happens to be installed.
CHECKOUT = Path(__file__).resolve().parents[1]
if (CHECKOUT / 'mmkw' / '__init__.py').is_file():
    sys.path.insert(0, str(CHECKOUT))

# Importing mmengine raises this warning, and the first lines of the output should be those that matter.
warnings.filterwarnings('ignore', message='pkg_resources is deprecated')


def config_parser(description: str) -> argparse.ArgumentParser:
    """Make a parser for a config and changes to it."""
    from mmengine.config import DictAction

    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='change settings of the config, such as train_cfg.max_epochs=2 or key="[a,b]"',
    )
    return parser


def runner_parser(description: str) -> argparse.ArgumentParser:
    """Make a parser for what a Runner takes: a config, changes to it, a work dir and a launcher."""
    parser = config_parser(description)
    parser.add_argument('--work-dir', help='folder for logs and checkpoints (default: work_dirs/<name of the config>)')
    parser.add_argument('--launcher', choices=('none', 'pytorch', 'slurm', 'mpi'), default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser


def picture_path(parser: argparse.ArgumentParser, args: argparse.Namespace, kind: str) -> Path:
    """Where ``--out`` says that a tool draws its picture: by default ``<name of the config>_<kind>.png``."""
    out = args.out or Path(f'{Path(args.config).stem}_{kind}.png')
    if out.suffix != '.png' or not out.parent.is_dir():
        parser.error(f'--out {out}: must be the name of a .png in a folder that exists')
    return out


def load_config(args: argparse.Namespace) -> Any:
    """Read the config that the arguments of :func:`config_parser` name.

    Raises:
        LaunchError: If there is no such file.
    """
    from mmkw.config import read_config

    return read_config(args.config, args.cfg_options)


def launch_settings(args: argparse.Namespace) -> dict[str, Any]:
    """Arguments for the functions of mmkw.engine.launch, from those of :func:`runner_parser`."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return dict(config=load_config(args), work_dir=args.work_dir, launcher=args.launcher)


@contextmanager
def or_exit(*others: type[Exception]) -> Iterator[None]:
    """End the program with an error's message and no traceback; of several processes only the first prints it.

    Args:
        *others: Errors to treat so besides LaunchError and MisfitError. Name them only in tools that do one thing,
            where such an error is the user's: in a training it would be a fault in the code, whose traceback is needed.
    """
    from mmkw.config import LaunchError
    from mmkw.layers import MisfitError

    try:
        yield
    except (LaunchError, MisfitError, *others) as error:
        message = f'error: {error}' if isinstance(error, others) else str(error)
        sys.exit(message if int(os.environ.get('RANK', 0)) == 0 else 1)
