"""Warns before a test of a detector whose attention would see the padding of its batches."""

from mmengine.runner import Runner

from mmkw.layers import dynamic_layers, pools_over_pictures


def warn_of_padding(runner: Runner, part: str) -> None:
    """Warn if a detector with dynamic layers is to be tested on several images at once, and attention pools over all.

    Images of several sizes are padded to the largest of their batch. docs/study.md has what that cost.

    Args:
        runner: The Runner, before it runs.
        part: Whose data loader it is, ``'val'`` or ``'test'``.
    """
    size = (runner.cfg.get(f'{part}_dataloader') or {}).get('batch_size') or 1
    if size == 1 or runner.cfg.get('default_scope') != 'mmdet':
        return
    kinds = {
        type(layer).__name__ for name, layer in dynamic_layers(runner.model).items() if 'backbone' in name.split('.')
    }
    if kinds and not pools_over_pictures(runner.model):
        runner.logger.warning(
            f'{part}_dataloader.batch_size is {size}: images of several sizes are padded to the largest of their '
            f'batch, and the attentions of {", ".join(sorted(kinds))} pool over the padding, which can cost most of '
            "the AP. Use batch_size=1, or attention_extent='picture' in the backbone, unless all images have one size"
        )
