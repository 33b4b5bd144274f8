"""Finds out before training starts whether any batch will be a single image."""

import math
from collections.abc import Sized

from mmengine.dist import get_world_size
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Sampler

from mmkw.config import LaunchError
from mmkw.layers import dynamic_layers

# These samplers never end, so there is no last batch. Their length is that of the data set.
_ENDLESS = ('InfiniteSampler', 'MultiSourceSampler')
# mmdet's sampler fills two buckets and joins what is left in both at the end, so the rest is as without buckets.
_ONE_REST = ('BatchSampler', 'AspectRatioBatchSampler')
_REST_OF_EACH_DATA_SET = 'MultiDataAspectRatioBatchSampler'
_CANNOT = 'the batch norms of the attentions cannot be trained on a single image'


def check_batches(runner: Runner) -> None:
    """Check that no training batch is a single image where an attention's batch norm would be trained on it.

    Norms that ``norm_eval`` or ``frozen_stages`` hold fixed can take a single image, and so can synchronized norms on
    several GPUs. The sizes of the batches follow from the built data set, its samplers and the number of GPUs. They are
    known for the batch samplers of torch and mmdet, but not for those of videos. tools/train.py calls this function,
    and so does TemperatureHook, for trainings that other tools start.

    Args:
        runner: The Runner that is about to train. Its data loader is built if it is not built yet, and its model is put
            into training mode, as the training loop does.

    Raises:
        LaunchError: If there is such a batch. If chance decides whether there is one, a warning is logged instead.
    """
    if runner.train_loop is None or not _trains_on_batches(runner.model.train()):
        return
    loader, batches = runner.train_dataloader, runner.train_dataloader.batch_sampler
    kind, size = type(batches).__name__, getattr(batches, 'batch_size', None)
    if size == 1 and kind in _ONE_REST:
        raise LaunchError(f'{_CANNOT}, and batch_size is 1: use at least 2 per GPU, or norm_eval=True in the backbone')
    if kind not in (*_ONE_REST, _REST_OF_EACH_DATA_SET) or batches.drop_last or not _ends(batches.sampler):
        return
    place = 'train_dataloader' if loader.batch_size else 'train_dataloader.batch_sampler'
    remedy = f'set {place}.drop_last=True, or norm_eval=True in the backbone'
    if kind == _REST_OF_EACH_DATA_SET:
        # Chance decides in each epoch how many images come from which data set.
        runner.logger.warning(f'{_CANNOT}, and the last batch of each data set may be one: {remedy}')
        return
    gpus = get_world_size()
    for images in _images_per_gpu(batches.sampler, gpus):
        if images % size == 1 and runner.max_iters >= math.ceil(images / size):
            raise LaunchError(
                f'{_CANNOT}, and the last batch of an epoch is one ({len(loader.dataset)} images on {gpus} '
                f'GPU{"s" * (gpus > 1)}, batch_size {size}): {remedy}'
            )


def _trains_on_batches(model: nn.Module) -> bool:
    """Whether a batch norm of an attention needs two images; those of a detector's ``roi_head`` see regions."""
    return any(
        layer.needs_two_samples and 'roi_head' not in name.split('.') for name, layer in dynamic_layers(model).items()
    )


def _ends(sampler: Sampler) -> bool:
    return isinstance(sampler, Sized) and not any(kind.__name__ in _ENDLESS for kind in type(sampler).__mro__)


def _images_per_gpu(sampler: Sampler, gpus: int) -> set[int]:
    """Numbers of images per epoch on the GPUs; they differ by one if the sampler does not repeat images to fill up."""
    if getattr(sampler, 'round_up', True):
        return {len(sampler)}
    return {math.ceil((sampler.total_size - rank) / gpus) for rank in range(gpus)}
