"""Reads checkpoint files safely, writes files whole or not at all, and builds the models that checkpoints fill."""

import hashlib
import json
import os
import pickle
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Optional, Union

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner.checkpoint import get_torchvision_models
from torch import nn

from mmkw.config import scope_of
from mmkw.conversion import check_keys
from mmkw.layers import check_fit, temperature_keys

PathLike = Union[str, Path]
_UNREADABLE = (RuntimeError, EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile, pickle.UnpicklingError)


def read_checkpoint(path: PathLike, hint: str, allow: Optional[AbstractContextManager] = None) -> Any:
    """Load what a checkpoint file holds onto the CPU; nothing in it is executed.

    Args:
        path: The file.
        hint: What the error says to do if there is no such file.
        allow: A context to read in, which allows more classes. Default: None.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged or refused for what it would execute.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'checkpoint {path} does not exist; {hint}')
    try:
        with allow or nullcontext():
            return torch.load(path, map_location='cpu', weights_only=True)
    except _UNREADABLE as error:
        raise ValueError(
            f'checkpoint {path} cannot be read: it is damaged (download it again) or holds code that is not executed '
            f'for safety ({_reason(error)})'
        ) from error


def fetch_checkpoint(address: str) -> Any:
    """Load what the checkpoint at ``torchvision://NAME`` or ``https://...`` holds; torch.hub keeps the file.

    Raises:
        ValueError: If the name is unknown, or the checkpoint cannot be fetched or read.
    """
    scheme, _, name = address.partition('://')
    if scheme not in ('torchvision', 'http', 'https'):
        raise ValueError(f'checkpoint {address}: give a path, torchvision://NAME or https://...')
    url = address
    if scheme == 'torchvision':
        urls = get_torchvision_models()
        # torchvision lists newer models only with the version of their weights.
        url = urls.get(name) or urls.get(f'{name}.imagenet1k_v1')
        if url is None:
            raise ValueError(f'torchvision has no weights {name!r}')
    try:
        return torch.hub.load_state_dict_from_url(url, map_location='cpu', weights_only=True)
    except _UNREADABLE as error:
        raise ValueError(
            f'checkpoint {address} cannot be fetched from {url} ({_reason(error)}); download it on a machine that can, '
            'and give the path of the file'
        ) from error


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def write_whole(target: PathLike, write: Callable[[str], None], publish: bool = False) -> Path:
    """Let a function write a file under a temporary name beside its own, then rename it; a failure leaves nothing.

    Args:
        target: The file; its folder is made if it does not exist.
        write: Writes the file; called with the temporary name.
        publish: Put the first 8 digits of the file's SHA-256 into its name, as the ecosystem does. Default: False.

    Returns:
        Path of the file that was written.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f'.{target.name}-')
    os.close(handle)
    try:
        write(temporary)
        if publish:
            digest = hashlib.sha256(Path(temporary).read_bytes()).hexdigest()[:8]
            target = target.with_name(f'{target.stem}-{digest}{target.suffix}')
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
    return target


def write_json(target: PathLike, content: Any) -> None:
    """Write a value as JSON by :func:`write_whole`."""
    write_whole(target, lambda name: Path(name).write_text(json.dumps(content, indent=1) + '\n'))


def build_model(config: Config, part: Optional[str] = None) -> nn.Module:
    """The model of a config, in evaluation mode and without loading any weights.

    Args:
        config: The config; it is not changed.
        part: Build only this part of the model, such as ``'backbone'``. Default: None, the whole model.

    Raises:
        ValueError: If the config has no such model or part.
    """
    cfg = config.copy().get('model')
    if part is not None:
        cfg = (cfg or {}).get(part)
    if cfg is None:
        raise ValueError(f'config {config.filename} has no model{f".{part}" if part else ""}')
    for entry in (cfg, cfg.get('backbone')):
        if isinstance(entry, dict):
            entry.pop('init_cfg', None)
    with DefaultScope.overwrite_default_scope(scope_of(config)):
        model = MODELS.build(cfg)
    model.eval()  # a statement of its own: eval() of mmpretrain's backbones returns None
    return model


def load_into(model: nn.Module, path: PathLike, part: Optional[str] = None) -> None:
    """Fill every value of a model from an mmkw checkpoint.

    Args:
        model: A model as :func:`build_model` makes it.
        path: A file with the state dict, by itself or under ``state_dict``.
        part: Name of the part of the checkpoint's model that ``model`` is. Default: None, the whole model.

    Raises:
        FileNotFoundError, ValueError: If the file cannot be read or is not for this model.
    """
    state = read_checkpoint(path, 'name a checkpoint that tools/train.py or tools/convert_checkpoint.py wrote')
    state = state.get('state_dict', state) if isinstance(state, Mapping) else {}
    check_fit(model, state, f'checkpoint {path}', '' if part is None else f'{part}.')
    if part is not None:
        state = {key[len(part) + 1 :]: value for key, value in state.items() if key.startswith(f'{part}.')}
    optional = temperature_keys(model)
    expected = {key: value for key, value in model.state_dict().items() if key in state or key not in optional}
    check_keys(state, expected, f'checkpoint {path} does not fit the config')
    model.load_state_dict(state)
