"""From a command line to a Runner: what tools/train.py and tools/test.py share."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Optional

import torch
from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.registry import RUNNERS
from mmengine.runner import Runner, find_latest_checkpoint
from torch import nn

from mmkw.config import scope_of, type_name
from mmkw.layers import MisfitError

from .batches import check_batches
from .preflight import LaunchError, check_checkpoint, check_files, check_start_weights, start_weights


def argument_parser(description: str) -> argparse.ArgumentParser:
    """Parser with the options that training and testing have in common."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder for logs and checkpoints (default: work_dirs/<name of the config>)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='change settings of the config, such as train_cfg.max_epochs=2 or key="[a,b]"',
    )
    parser.add_argument('--launcher', choices=('none', 'pytorch', 'slurm', 'mpi'), default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser


@contextmanager
def or_exit() -> Iterator[None]:
    """End the program with the message alone of a LaunchError, or of a checkpoint that turns out not to fit.

    There is no traceback, and if there are several processes it is said once.
    """
    try:
        yield
    except (LaunchError, MisfitError) as error:
        sys.exit(str(error) if _is_first_process() else 1)


def runner_to_train(args: argparse.Namespace) -> Runner:
    """Build the Runner that trains.

    Args:
        args: Of :func:`argument_parser` with ``resume``, ``amp`` (None, or the type to compute in) and
            ``auto_scale_lr``.

    Raises:
        LaunchError: If the run cannot start as asked: before anything is built, but for what only the model or the data
            set shows.
    """
    cfg = _load_config(args)
    if args.amp:
        _use_amp(cfg, args.amp)
    if args.auto_scale_lr:
        if not (cfg.get('auto_scale_lr') or {}).get('base_batch_size'):
            raise LaunchError(
                f'--auto-scale-lr: {args.config} does not say which batch size its learning rate is for; '
                'set auto_scale_lr=dict(base_batch_size=...) there, or leave the option out'
            )
        cfg.auto_scale_lr.enable = True
    _find_resume(cfg, args.resume)
    check_files(cfg, 'train')
    runner = _build(cfg)
    if cfg.get('resume'):
        _start_without_files(runner.model)
    else:
        check_start_weights(runner.model)
    # What init_cfg fills need not be in load_from too.
    if cfg.get('load_from') and (cfg.get('resume') or not list(start_weights(cfg.get('model')))):
        check_checkpoint(runner.model, cfg.load_from)
    check_batches(runner)
    return runner


def runner_to_test(args: argparse.Namespace) -> Runner:
    """Build the Runner that tests.

    Args:
        args: Of :func:`argument_parser` with ``checkpoint``, ``out`` and ``show_dir``.

    Raises:
        LaunchError: If the run cannot start as asked, before anything is built.
    """
    cfg = _load_config(args)
    cfg.load_from, cfg.resume = args.checkpoint, False
    if args.out:
        if not args.out.endswith(('.pkl', '.pickle')):
            raise LaunchError(f'--out {args.out}: predictions are written as a pickle, so the name must end with .pkl')
        # mmdet's packs masks, which would fill the memory as they are.
        kind = 'DumpDetResults' if cfg.default_scope == 'mmdet' else 'DumpResults'
        metrics = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
        cfg.test_evaluator = [*metrics, dict(type=kind, out_file_path=args.out)]
    if args.show_dir:
        hook = (cfg.get('default_hooks') or {}).get('visualization')
        if not hook:
            raise LaunchError(f'--show-dir: {args.config} has no visualization hook in its default_hooks')
        hook.update(
            dict(draw=True, test_out_dir=args.show_dir)
            if cfg.default_scope == 'mmdet'
            else dict(enable=True, out_dir=args.show_dir)
        )
    check_files(cfg, 'test')
    runner = _build(cfg)
    check_checkpoint(runner.model, args.checkpoint)
    return runner


def _load_config(args: argparse.Namespace) -> Config:
    if not os.path.isfile(args.config):
        raise LaunchError(f'there is no config {args.config} (in {os.getcwd()})')
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = Config.fromfile(args.config)
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    cfg.default_scope = scope_of(cfg)  # pure-Python configs have none
    cfg.launcher = args.launcher
    name = os.path.splitext(os.path.basename(args.config))[0]
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or os.path.join('work_dirs', name)
    if cfg.default_scope == 'mmpretrain':
        # Its configs leave this to its own tools.
        for part in ('train', 'val', 'test'):
            if cfg.get(f'{part}_dataloader'):
                cfg[f'{part}_dataloader'].setdefault('collate_fn', dict(type='default_collate'))
    return cfg


def _use_amp(cfg: Config, dtype: str) -> None:
    kind = type_name(cfg.optim_wrapper) or 'OptimWrapper'
    if kind not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise LaunchError(
            f'--amp takes the place of an OptimWrapper, and optim_wrapper.type is {kind!r}: leave one out'
        )
    if get_device() == 'cpu':
        raise LaunchError('--amp needs a GPU, and torch sees none here: leave it out')
    if dtype == 'bfloat16' and get_device() == 'cuda' and torch.cuda.get_device_capability() < (8, 0):
        raise LaunchError('--amp: this GPU does not compute in bfloat16; use --amp float16')
    cfg.optim_wrapper.update(type='AmpOptimWrapper', dtype=dtype)
    # bfloat16 has the range of float32, in which no loss needs scaling.
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic' if dtype == 'float16' else 1.0)


def _find_resume(cfg: Config, resume: Optional[str]) -> None:
    """Turn ``--resume`` into ``resume`` and ``load_from``."""
    if resume not in (None, 'auto'):
        cfg.resume, cfg.load_from = True, resume
    elif resume == 'auto' or (cfg.get('resume') and not cfg.get('load_from')):
        latest = find_latest_checkpoint(cfg.work_dir)
        cfg.resume = latest is not None
        if latest is None:
            if _is_first_process():
                print(f'--resume: {cfg.work_dir} has no checkpoint yet, so training starts from the beginning')
            return
        # The name was noted relative to the folder of that time, or before the work dir moved.
        beside = os.path.join(cfg.work_dir, os.path.basename(latest))
        cfg.load_from = beside if os.path.exists(beside) else latest


def _build(cfg: Config) -> Runner:
    # Some versions of mmengine try again without weights_only what they could not load, and that runs any code in it.
    if torch.__version__ >= (2, 6) and 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD' not in os.environ:
        os.environ['TORCH_FORCE_WEIGHTS_ONLY_LOAD'] = '1'
    if cfg.launcher == 'pytorch':
        _prepare_processes(cfg)
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)


def _prepare_processes(cfg: Config) -> None:
    if 'RANK' not in os.environ:
        raise LaunchError(
            '--launcher pytorch is for processes started by torchrun: use tools/dist_train.sh or dist_test.sh'
        )
    if get_device() == 'cuda':
        processes, gpus = int(os.environ.get('LOCAL_WORLD_SIZE', 1)), torch.cuda.device_count()
        if processes > gpus:
            raise LaunchError(
                f'{processes} processes were started here, and torch sees {gpus} GPUs: start one for each'
            )
    if get_device() == 'cpu':
        backend = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('backend', 'nccl')
        if backend != 'gloo':
            raise LaunchError(
                f'{backend} needs GPUs, and torch sees none here; '
                'to use the CPU add --cfg-options env_cfg.dist_cfg.backend=gloo'
            )
        # mmengine would give each process the GPU of its number.
        torch.distributed.init_process_group('gloo')
        wrapper = dict(
            type='MMDistributedDataParallel',
            device_ids=None,
            broadcast_buffers=False,
            find_unused_parameters=cfg.get('find_unused_parameters', False),
        )
        cfg.model_wrapper_cfg = {**wrapper, **(cfg.get('model_wrapper_cfg') or {})}


def _start_without_files(model: nn.Module) -> None:
    """Forget the checkpoints of init_cfg: a resumed training overwrites what they hold, and they may be gone."""
    for module in model.modules():
        init_cfg = getattr(module, 'init_cfg', None)
        entries = init_cfg if isinstance(init_cfg, (list, tuple)) else [init_cfg] if init_cfg else []
        if any('checkpoint' in entry for entry in entries):
            module.init_cfg = [entry for entry in entries if 'checkpoint' not in entry] or None


def _is_first_process() -> bool:
    return int(os.environ.get('RANK', 0)) == 0
