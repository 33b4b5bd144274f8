"""Finds out before a run starts which files it lacks, and which weights do not fit."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Optional

import torch
from mmengine.config import Config
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import nn

from mmkw.checkpoints.files import read_checkpoint
from mmkw.config import LaunchError, init_entries, type_name
from mmkw.layers import check_fit

from .unwrap import unwrap

# These datasets download their files if they are missing.
_DOWNLOADING = ('CIFAR10', 'CIFAR100', 'MNIST', 'FashionMNIST')
# For these datasets the split is the folder of the images.
_SPLIT_IS_FOLDER = ('ImageNet', 'ImageNet21k')
# These initialisers have a method ``check``.
_CHECKABLE = ('PlainPretrained', 'PublishedPretrained')
# mmengine's initialiser by its registered name, and by the name of its class.
_OF_MMENGINE = ('Pretrained', 'PretrainedInit')


def check_files(cfg: Config, stage: str = 'train') -> None:
    """Check that the files which a run will read exist: annotations, image folders, checkpoints.

    Only local files that the stage needs are checked. The config may say where a file comes from: its ``sources`` maps
    the path, or a folder above it, to a text.

    Args:
        cfg: A config as for mmengine's Runner; paths are relative to the current folder.
        stage: ``'train'`` (with its validation) or ``'test'``. Default: ``'train'``.

    Raises:
        LaunchError: If anything is missing. The first lines name each file, where to get it and where to put it.
    """
    keys: dict[str, str] = {}  # by path, so that each is named once
    for key, path in needed_files(cfg, stage):
        if '://' not in path:
            keys.setdefault(os.path.normpath(os.path.expanduser(path)), key)
    missing = {path: key for path, key in keys.items() if not _is_there(path)}
    if missing:
        raise LaunchError(_message(missing, cfg.get('sources') or {}))


def check_start_weights(model: nn.Module) -> None:
    """Check that local checkpoints of ``init_cfg`` fit the modules that they will fill, without filling them.

    It checks mmkw's own initialisers, and mmengine's ``Pretrained`` where it will fill dynamic layers.

    Raises:
        LaunchError: If a checkpoint does not fit.
    """
    for module in model.modules():
        for entry in init_entries(getattr(module, 'init_cfg', None)):
            if type_name(entry) in _CHECKABLE and '://' not in entry['checkpoint']:
                try:
                    WEIGHT_INITIALIZERS.build(dict(entry)).check(module)
                except (FileNotFoundError, ValueError) as error:
                    raise LaunchError(f'{type(module).__name__}: {error}\nNothing was started.') from error
            elif type_name(entry) in _OF_MMENGINE:
                check_checkpoint(module, entry['checkpoint'], entry.get('prefix'))


def check_checkpoint(model: nn.Module, path: str, prefix: Optional[str] = None) -> None:
    """Check that a local checkpoint would fill the dynamic layers of a model, without filling them.

    Args:
        model: The model, or a part that is filled alone.
        path: A checkpoint in the ecosystem's form. One at an address is not fetched; if it does not fit, the error
            comes when it is loaded.
        prefix: Prefix of the model's keys in the checkpoint, as for mmengine's Pretrained. Default: None, no prefix.

    Raises:
        LaunchError: If it would not fill them, or cannot be read.
    """
    state = read_weights(path)
    if state is None:
        return
    prefix = f'{prefix.removesuffix(".")}.' if prefix else ''
    try:
        check_fit(unwrap(model), state, f'checkpoint {path}', prefix)
    except ValueError as error:
        raise LaunchError(str(error)) from error


def read_weights(path: str, prefix: Optional[str] = None) -> Optional[dict[str, Any]]:
    """Read a state dict from a local checkpoint in the ecosystem's form before a run; None if that cannot be done.

    Args:
        path: The checkpoint. One at an address is not fetched.
        prefix: Only keys under it are taken, without it. Default: None, all.

    Raises:
        LaunchError: If there is no such file, or it cannot be read.
    """
    # Before torch 2.6 training checkpoints cannot be read with weights_only (see safe_load.py).
    reads_any = torch.__version__ < (2, 6) or 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD' in os.environ
    if '://' in path or reads_any:
        return None
    try:
        found = read_checkpoint(path, 'name one that tools/train.py or tools/convert_checkpoint.py wrote')
    except (FileNotFoundError, ValueError) as error:
        raise LaunchError(str(error)) from error
    state = found.get('state_dict', found) if isinstance(found, Mapping) else {}
    start = f'{prefix.removesuffix(".")}.' if prefix else ''
    state = {str(key).removeprefix('module.'): value for key, value in state.items()}
    return {key.removeprefix(start): value for key, value in state.items() if key.startswith(start)}


def needed_files(cfg: Config, stage: str) -> Iterator[tuple[str, str]]:
    """Find (config key, path) of everything that a run will read: data, annotations, checkpoints.

    Args:
        cfg, stage: See :func:`check_files`. What fetches itself is not named.
    """
    parts = ['test'] if stage == 'test' else ['train', 'val'] if cfg.get('val_cfg') is not None else ['train']
    for part in parts:
        yield from _data_files(cfg.get(f'{part}_dataloader'), f'{part}_dataloader')
        yield from _data_files(cfg.get(f'{part}_evaluator'), f'{part}_evaluator')
    if cfg.get('load_from'):
        yield 'load_from', cfg.load_from
    if stage == 'train' and not cfg.get('resume'):
        yield from start_weights(cfg.get('model'))


def _data_files(node: Any, key: str) -> Iterator[tuple[str, str]]:
    """Find (config key, path) of what datasets and metrics name, at any depth, since datasets wrap each other."""
    for name, child in _children(node):
        yield from _data_files(child, f'{key}.{name}')
    if not isinstance(node, Mapping) or type_name(node) in _DOWNLOADING:
        return
    if (node.get('backend_args') or {}).get('backend', 'local') != 'local':
        return
    prefixes = node.get('data_prefix') or {}
    if isinstance(prefixes, str):
        prefixes = {'data_prefix': prefixes}
    if not prefixes and type_name(node) in _SPLIT_IS_FOLDER:
        prefixes = {'split': node.get('split')}
    root = node.get('data_root') or ''
    named = {'ann_file': node.get('ann_file'), **prefixes}
    named = {name: path for name, path in named.items() if path} or {'data_root': root}
    for name, path in named.items():
        if path and isinstance(path, str):
            yield f'{key}.{name}', path if name == 'data_root' else os.path.join(root, path)


def start_weights(node: Any, key: str = 'model') -> Iterator[tuple[str, str]]:
    """Find (config key, path) of the ``checkpoint`` of every init_cfg in a model's config."""
    for name, child in _children(node):
        yield from start_weights(child, f'{key}.{name}')
    if 'Pretrained' in type_name(node) and node.get('checkpoint'):
        yield f'{key}.checkpoint', node['checkpoint']


def _children(node: Any) -> list[tuple[Any, Any]]:
    if isinstance(node, Mapping):
        return list(node.items())
    return list(enumerate(node)) if isinstance(node, (list, tuple)) else []


def _is_there(path: str) -> bool:
    """Whether a file or a folder with content exists; data has yet to be unpacked into an empty folder."""
    return os.path.isfile(path) or (os.path.isdir(path) and any(os.scandir(path)))


def _message(missing: Mapping[str, str], sources: Mapping[str, str]) -> str:
    lines = []
    groups: dict[Optional[str], list[str]] = {}
    for path in missing:
        groups.setdefault(_source_of(path, sources), []).append(path)
    for place, paths in groups.items():
        if place is None:
            lines += [f'missing: {path}\n    named by: {missing[path]}' for path in paths]
        else:
            lines += [f'missing: {path}' for path in paths]
            lines += [f'    get it: {sources[place]}', f'    put it: {_absolute(place)}']
    lines.append(f'Nothing was started. Paths are relative to {os.getcwd()}; --cfg-options changes the config.')
    return '\n'.join(lines)


def _source_of(path: str, sources: Mapping[str, str]) -> Optional[str]:
    """The key of ``sources`` that is the path or the closest folder above it."""
    target = Path(os.path.abspath(path))
    above = [place for place in sources if Path(_absolute(place)) in (target, *target.parents)]
    return max(above, key=lambda place: len(_absolute(place)), default=None)


def _absolute(place: str) -> str:
    return os.path.abspath(os.path.expanduser(place)) + ('/' if place.endswith('/') else '')
