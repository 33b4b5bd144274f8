"""Writes folded networks as files that stock mmdet or mmpretrain loads."""

from pathlib import Path
from typing import Any, Optional

import torch
from mmengine.config import Config
from torch import nn

from mmkw.conversion import check_keys
from mmkw.version import __version__

from .files import PathLike, build_model, write_whole


def write_folded(plain: nn.Module, target: PathLike, plain_config: Optional[PathLike] = None, **meta: Any) -> Path:
    """Write a folded network as a checkpoint for mmdet or mmpretrain, whole or not at all.

    Args:
        plain: The folded network, as :func:`mmkw.conversion.fold` returns it.
        target: The file to write.
        plain_config: Config of the plain model that will load the file. All keys and shapes are checked against that
            model. Values whose shapes differ only in axes of length 1 are reshaped (mmpretrain's ConvNeXt has Linear
            layers where KWConvNeXt has 1x1 convolutions). Default: None, no check.
        **meta: Further entries of the file's ``meta``.

    Returns:
        Path of the file that was written.

    Raises:
        ValueError: If the plain model cannot load the file. Then no file is written.
    """
    state = plain.state_dict()
    if plain_config is not None:
        expected = build_model(Config.fromfile(plain_config)).state_dict()
        for key, value in expected.items():
            if key in state and state[key].squeeze().shape == value.squeeze().shape:
                state[key] = state[key].reshape(value.shape)
        check_keys(state, expected, f'the folded model does not fit {plain_config}')
    content = dict(meta=dict(mmkw_version=__version__, **meta), state_dict=state)
    return write_whole(target, lambda path: torch.save(content, path))
