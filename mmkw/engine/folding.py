"""Folding a config's model with its attention held at its mean over data of the config, and what that costs."""

import argparse
from itertools import islice
from typing import Any

import torch
from mmengine.runner import Runner
from torch import Tensor, nn

from mmkw.checkpoints.files import load_into
from mmkw.checkpoints.fold import fold, mean_attention, output_difference

from .launch import runner_to_test
from .preflight import LaunchError


def fold_at_mean(args: argparse.Namespace) -> tuple[nn.Module, list[str]]:
    """Fold the model of a config and checkpoint, its attention held at its mean over a data set of the config.

    Args:
        args: Of :func:`mmkw.engine.launch.argument_parser` with ``checkpoint``; ``over``, the data set (``'train'``,
            ``'val'`` or ``'test'``); and ``batches``, how many of its batches are used.

    Returns:
        The plain network, and lines that say what was lost: the relative difference of the outputs (a classifier's
        logits, or what a detector's ``extract_feat`` gives) over the same number of batches, and each metric of the
        config's test set before and after, if the config has one.

    Raises:
        LaunchError: If the config lacks the data set, or files are missing.
        FileNotFoundError, ValueError: If the checkpoint cannot be read or is not for this model.
    """
    args.out = args.show_dir = None
    if args.batches < 1:
        raise LaunchError(f'--batches must be at least 1, got {args.batches}')
    runner = runner_to_test(args)
    loader_cfg = runner.cfg.get(f'{args.over}_dataloader')
    if loader_cfg is None:
        raise LaunchError(f'--over {args.over}: {args.config} has no {args.over}_dataloader')
    model = runner.model
    load_into(model, args.checkpoint)
    loader = runner.build_dataloader(loader_cfg)
    attention = mean_attention(model, islice(loader, args.batches), model.test_step)
    plain = fold(model, attention)
    difference = output_difference(model, plain, islice(loader, args.batches), _outputs)
    used = min(args.batches, len(loader))
    lines = [f'relative difference of the outputs over {used} batches of the {args.over} set: {difference:.3g}']
    if runner.cfg.get('test_dataloader') and runner.cfg.get('test_evaluator'):
        before, after = (_test(runner, network) for network in (model, plain))
        lines += [f'{name}: {before[name]:.4g} before, {after[name]:.4g} folded' for name in before]
    else:
        lines.append('no metric: the config has no test_dataloader with a test_evaluator')
    return plain, lines


def _outputs(network: nn.Module, batch: Any) -> Any:
    inputs: Tensor = network.data_preprocessor(batch, False)['inputs']
    features = network.extract_feat(inputs)
    return network.head(features) if hasattr(network, 'head') else features


def _test(runner: Runner, network: nn.Module) -> dict[str, float]:
    """The config's metrics, without the hooks, which are for the model that was built."""
    loop = runner.test_loop
    network.eval()
    with torch.no_grad():
        for batch in loop.dataloader:
            loop.evaluator.process(data_batch=batch, data_samples=network.test_step(batch))
    return loop.evaluator.evaluate(len(loop.dataloader.dataset))
