"""Converts checkpoint files for any config: what ``tools/convert_checkpoint.py`` and ``tools/warm_start.py`` do."""

from pathlib import Path
from typing import Union

import torch
from mmengine.config import Config
from torch import nn

from mmkw.version import __version__

from .files import build_model, write_whole
from .plain import read_plain, warm_start_from_plain
from .published import published_to_mmkw, read_published


def convert_published(
    source: Union[str, Path],
    target: Union[str, Path],
    config: Union[str, Path],
    ema: bool = False,
    publish: bool = False,
) -> Path:
    """Write a published checkpoint as an mmkw checkpoint: ``state_dict`` with ``backbone.*`` and ``head.*``.

    Use the file as ``init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.')`` in a detector or as
    ``load_from`` in a classifier. It appears whole or not at all.

    Args:
        source: The published file.
        target: The file to write; its folder is made if it does not exist.
        config: The config of a classifier or detector with the backbone that the file is for.
        ema: Take the averaged weights. Default: False.
        publish: Put the first 8 digits of the file's SHA-256 into its name, as the ecosystem does. Default: False.

    Returns:
        Path of the file that was written.

    Raises:
        FileNotFoundError, ValueError: If the source cannot be read, or is not for the config's model.
    """
    state = read_published(source, ema)
    model = _build(config)
    converted = published_to_mmkw(state, getattr(model, 'backbone', model), getattr(model, 'head', None))
    meta = dict(mmkw_version=__version__, source=Path(source).name, config=Path(config).name, ema=ema)
    return write_whole(target, lambda path: torch.save(dict(meta=meta, state_dict=converted), path), publish)


def convert_plain(source: str, target: Union[str, Path], config: Union[str, Path], seed: int = 0) -> Path:
    """Write the start of a dynamic network from a plain checkpoint, as an mmkw checkpoint.

    The file has ``backbone.*`` and, for a classifier's config, ``head.*``, and serves as that of
    :func:`convert_published` does. Its temperature is the one at which the schedule of each layer starts, where it
    computes what the plain network does (KernelWarehouse from b = 1 on). What :func:`mmkw.conversion.warm_start`
    leaves as it is, is drawn from the seed.

    Args:
        source: A file or address, see :func:`read_plain`.
        target: The file to write; its folder is made.
        config: The config with the dynamic backbone, of a detector, or of a classifier with as many classes as the
            source.
        seed: Default: 0.

    Returns:
        Path of the file that was written.

    Raises:
        FileNotFoundError, ValueError: If the source cannot be read, or is not for the config's model.
    """
    state = read_plain(source)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _build(config)
    if not hasattr(model, 'head'):
        model = nn.ModuleDict({'backbone': model})
    warm_start_from_plain(model, state, source)
    meta = dict(mmkw_version=__version__, source=Path(source).name, config=Path(config).name, seed=seed)
    return write_whole(target, lambda path: torch.save(dict(meta=meta, state_dict=model.state_dict()), path))


def _build(config: Union[str, Path]) -> nn.Module:
    """The classifier of a config, or the backbone of a detector, without loading any weights."""
    cfg = Config.fromfile(config)
    if 'model' not in cfg or 'backbone' not in cfg.model:
        raise ValueError(f'config {config} has no model with a backbone')
    return build_model(cfg, None if 'head' in cfg.model else 'backbone')
