"""Folds a config's model with its attention held at its mean over a data set, and measures what that costs."""

from itertools import islice
from typing import Any, Optional

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import Tensor, nn

from mmkw.checkpoints.files import load_into
from mmkw.config import LaunchError
from mmkw.conversion import fold, mean_attention, output_difference
from mmkw.layers import known_pictures, pictures_in

from .launch import runner_to_test


def fold_at_mean(
    config: Config,
    checkpoint: str,
    over: str = 'train',
    batches: int = 50,
    work_dir: Optional[str] = None,
    launcher: str = 'none',
) -> tuple[nn.Module, list[str]]:
    """Fold the model of a config and checkpoint, its attention held at its mean over a data set of the config.

    Args:
        config, checkpoint, work_dir, launcher: See :func:`mmkw.engine.launch.runner_to_test`.
        over: The data set to average over, ``'train'``, ``'val'`` or ``'test'``. Default: ``'train'``.
        batches: How many of its batches are used, at most. Default: 50.

    Returns:
        The plain network, and lines of text that say what was lost: the relative difference of the outputs (a
        classifier's logits, or what a detector's ``extract_feat`` gives) over the same number of batches, and, if the
        config has a test set, each of its metrics before and after.

    Raises:
        LaunchError: If ``batches`` is below 1, the config lacks the data set, or files are missing.
        FileNotFoundError, ValueError: If the checkpoint cannot be read or is not for this model.
    """
    if batches < 1:
        raise LaunchError(f'--batches must be at least 1, got {batches}')
    runner = runner_to_test(config, checkpoint, work_dir, launcher)
    loader_cfg = runner.cfg.get(f'{over}_dataloader')
    if loader_cfg is None:
        raise LaunchError(f'--over {over}: {config.filename} has no {over}_dataloader')
    model = runner.model
    load_into(model, checkpoint)
    loader = runner.build_dataloader(loader_cfg)
    attention = mean_attention(model, islice(loader, batches), model.test_step)
    plain = fold(model, attention)
    difference = output_difference(model, plain, islice(loader, batches), _outputs)
    used = min(batches, len(loader))
    lines = [f'relative difference of the outputs over {used} batches of the {over} set: {difference:.3g}']
    if runner.cfg.get('test_dataloader') and runner.cfg.get('test_evaluator'):
        before, after = (_test(runner, network) for network in (model, plain))
        lines += [f'{name}: {before[name]:.4g} before, {after[name]:.4g} folded' for name in before]
    else:
        lines.append('no metric: the config has no test_dataloader with a test_evaluator')
    return plain, lines


def _outputs(network: nn.Module, batch: Any) -> Any:
    data = network.data_preprocessor(batch, False)
    inputs: Tensor = data['inputs']
    with known_pictures(network, pictures_in(inputs, data.get('data_samples'))):
        features = network.extract_feat(inputs)
    return network.head(features) if hasattr(network, 'head') else features


def _test(runner: Runner, network: nn.Module) -> dict[str, float]:
    """Compute the config's metrics for a network. No hooks run, since they belong to the Runner's own model."""
    loop = runner.test_loop
    network.eval()
    with torch.no_grad():
        for batch in loop.dataloader:
            loop.evaluator.process(data_batch=batch, data_samples=network.test_step(batch))
    return loop.evaluator.evaluate(len(loop.dataloader.dataset))
