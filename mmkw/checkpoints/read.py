"""Checkpoint files and addresses, read without executing anything in them."""

import argparse
import pickle
import zipfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Union
from urllib.error import URLError

import torch
from mmengine.runner.checkpoint import get_torchvision_models

_DAMAGED = (RuntimeError, EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile, pickle.UnpicklingError)


def read_file(path: Union[str, Path], source: str) -> Any:
    """What is in a checkpoint file.

    Nothing in it is executed: besides tensors, plain containers and what mmengine's trainings leave, only the
    ``argparse.Namespace`` that training scripts leave under ``args`` is accepted.

    Args:
        path: The file.
        source: Where such a file comes from, for the message if there is none.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged or refused for what it would execute.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'checkpoint {path} does not exist; {source}')
    try:
        # Before torch 2.5 there is no such list, and a file with a Namespace is refused.
        allow = getattr(torch.serialization, 'safe_globals', nullcontext)
        with allow([argparse.Namespace]):
            return torch.load(path, map_location='cpu', weights_only=True)
    except _DAMAGED as error:
        raise ValueError(
            f'checkpoint {path} cannot be read: it is damaged (download it again) or holds code that is not executed '
            f'for safety ({_reason(error)})'
        ) from error


def read_address(address: str) -> Any:
    """What is in the checkpoint at ``torchvision://NAME`` or ``https://...``; it is kept in torch.hub's folder.

    Raises:
        ValueError: If the name is unknown, or the checkpoint cannot be fetched or read.
    """
    scheme, _, name = address.partition('://')
    if scheme == 'torchvision':
        urls = get_torchvision_models()
        # Newer models are only listed with their training's version.
        url = urls.get(name) or urls.get(f'{name}.imagenet1k_v1')
        if url is None:
            raise ValueError(f'torchvision has no weights {name!r}')
    elif scheme in ('http', 'https'):
        url = address
    else:
        raise ValueError(f'checkpoint {address}: give a path, torchvision://NAME or https://...')
    try:
        return torch.hub.load_state_dict_from_url(url, map_location='cpu', weights_only=True)
    except (URLError, *_DAMAGED) as error:
        raise ValueError(
            f'checkpoint {address} cannot be fetched from {url} ({_reason(error)}); download it on a machine that can, '
            'and give the path of the file'
        ) from error


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
