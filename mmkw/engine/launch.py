"""Makes a Runner that can start from a config and the user's options: what tools/train.py and tools/test.py do."""

import os
from pathlib import Path
from typing import Any, Optional

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.registry import RUNNERS
from mmengine.runner import Runner, find_latest_checkpoint
from torch import nn

from mmkw.config import LaunchError, init_entries, type_name

from .batches import check_batches
from .classes import check_classes
from .padding import warn_of_padding
from .preflight import check_checkpoint, check_files, check_start_weights, start_weights
from .start_temperature import check_start_temperature


def runner_to_train(
    config: Config,
    work_dir: Optional[str] = None,
    launcher: str = 'none',
    resume: Optional[str] = None,
    amp: Optional[str] = None,
    auto_scale_lr: bool = False,
) -> Runner:
    """Build the Runner that trains.

    Args:
        config: A config as :func:`mmkw.config.read_config` returns it. Missing settings are added to it.
        work_dir: Folder for logs and checkpoints. Default: None, the config's or else
            ``work_dirs/<name of the config>``.
        launcher: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``. Default: ``'none'``.
        resume: A checkpoint to go on from, or ``'auto'`` for the latest in the work dir. Default: None, as the config
            says.
        amp: Type of automatic mixed precision, ``'bfloat16'`` or ``'float16'``. Default: None, as the config says.
        auto_scale_lr: Whether to scale the learning rate from the config's batch size to this run's. Default: False.

    Raises:
        LaunchError: If the run cannot start as asked. It is raised before anything is built, unless only the built
            model or data set shows the fault.
    """
    _complete(config, work_dir, launcher)
    if amp:
        _use_amp(config, amp)
    if auto_scale_lr:
        if not (config.get('auto_scale_lr') or {}).get('base_batch_size'):
            raise LaunchError(
                f'--auto-scale-lr: {config.filename} does not say which batch size its learning rate is for; '
                'set auto_scale_lr=dict(base_batch_size=...) there, or leave the option out'
            )
        config.auto_scale_lr.enable = True
    _find_resume(config, resume)
    check_files(config, 'train')
    runner = _build(config)
    if config.get('resume'):
        _start_without_files(runner.model)
    else:
        check_start_weights(runner.model)
        check_start_temperature(runner.model, runner.hooks, config.get('load_from'))
    # If init_cfg fills the backbone, load_from need not contain it.
    if config.get('load_from') and (config.get('resume') or not list(start_weights(config.get('model')))):
        check_checkpoint(runner.model, config.load_from)
    check_batches(runner)
    check_classes(runner)
    warn_of_padding(runner, 'val')
    return runner


def train(runner: Runner) -> None:
    """Train; where a resumed training has reached its end already, validate what it has.

    Without this, a training that was stopped in its last validation would never give the figures of its last epoch.
    """
    counter = _Counter()
    runner.register_hook(counter)
    runner.train()
    if not counter.iterations and runner.val_loop is not None:
        runner.logger.info('The training was at its end already: its last checkpoint is validated.')
        runner.val_loop.run()


class _Counter(Hook):
    iterations = 0

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Optional[Any] = None) -> None:
        self.iterations += 1


def runner_to_test(
    config: Config,
    checkpoint: str,
    work_dir: Optional[str] = None,
    launcher: str = 'none',
    out: Optional[str] = None,
    show_dir: Optional[str] = None,
) -> Runner:
    """Build the Runner that tests.

    Args:
        config: A config as :func:`mmkw.config.read_config` returns it. Missing settings are added to it.
        checkpoint: The file to test.
        work_dir, launcher: See :func:`runner_to_train`.
        out: Pickle file to write the predictions to. Default: None, no file.
        show_dir: Folder, inside that of the run, to draw predictions into. Default: None, nothing is drawn.

    Raises:
        LaunchError: If the run cannot start as asked. It is raised before anything is built, unless only the built
            model or data set shows the fault.
    """
    _complete(config, work_dir, launcher)
    config.load_from, config.resume = checkpoint, False
    if out:
        if not out.endswith(('.pkl', '.pickle')):
            raise LaunchError(f'--out {out}: predictions are written as a pickle, so the name must end with .pkl')
        # mmdet's own metric packs masks; unpacked they would fill the memory.
        kind = 'DumpDetResults' if config.default_scope == 'mmdet' else 'DumpResults'
        metrics = config.test_evaluator if isinstance(config.test_evaluator, list) else [config.test_evaluator]
        config.test_evaluator = [*metrics, dict(type=kind, out_file_path=out)]
    if show_dir:
        hook = (config.get('default_hooks') or {}).get('visualization')
        if not hook:
            raise LaunchError(f'--show-dir: {config.filename} has no visualization hook in its default_hooks')
        hook.update(
            dict(draw=True, test_out_dir=show_dir)
            if config.default_scope == 'mmdet'
            else dict(enable=True, out_dir=show_dir)
        )
    check_files(config, 'test')
    runner = _build(config)
    check_checkpoint(runner.model, checkpoint)
    check_classes(runner, 'test')
    warn_of_padding(runner, 'test')
    return runner


def _complete(config: Config, work_dir: Optional[str], launcher: str) -> None:
    config.launcher = launcher
    name = Path(config.filename).stem
    config.work_dir = work_dir or config.get('work_dir') or os.path.join('work_dirs', name)
    if config.default_scope == 'mmpretrain':
        # mmpretrain's own tools add this, so its configs lack it.
        for part in ('train', 'val', 'test'):
            if config.get(f'{part}_dataloader'):
                config[f'{part}_dataloader'].setdefault('collate_fn', dict(type='default_collate'))


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
        # mmengine noted the name relative to the current folder of that run, and the work dir may have moved since.
        beside = os.path.join(cfg.work_dir, os.path.basename(latest))
        cfg.load_from = beside if os.path.exists(beside) else latest


def _build(cfg: Config) -> Runner:
    # Some versions of mmengine load a refused file again without weights_only, which would run any code in it.
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
        # mmengine's own initialisation would look for a GPU for each process.
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
        entries = init_entries(getattr(module, 'init_cfg', None))
        if any('checkpoint' in entry for entry in entries):
            module.init_cfg = [entry for entry in entries if 'checkpoint' not in entry] or None


def _is_first_process() -> bool:
    return int(os.environ.get('RANK', 0)) == 0
