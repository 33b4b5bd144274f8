"""Lets ``torch.load`` read mmengine's training checkpoints with ``weights_only=True``.

From torch 2.6 on, ``torch.load`` builds only objects that it knows to be harmless. An mmengine checkpoint holds others:
its log (``HistoryBuffer``) and numpy's numbers. A checkpoint may come from anybody, so this module does not allow the
real functions that a pickle names, but stand-ins that do less: ``numpy.ndarray`` could turn bytes into an array of
pointers, and ``getattr`` could reach anything.
"""

from pickle import UnpicklingError
from typing import Any, Optional

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint

_NUMBERS = sorted({np.dtype(code) for code in '?' + np.typecodes['AllInteger'] + np.typecodes['AllFloat']}, key=str)
_STATISTICS = ('min', 'max', 'current', 'mean')


def allow_training_checkpoints() -> None:
    """Put what mmengine's training checkpoints hold beside tensors on torch's allow-list; ``import mmkw`` calls this.

    Before torch 2.6 it does nothing: there ``torch.load`` reads any pickle by default.
    """
    if torch.__version__ < (2, 6):
        return
    allowed: list[Any] = [HistoryBuffer, (_statistic, 'builtins.getattr')]
    allowed += [(_number_type, 'numpy.dtype'), (_empty_array, 'numpy.ndarray')]
    for module in ('numpy._core.multiarray', 'numpy.core.multiarray'):  # the names in numpy 2 and 1
        allowed += [(_empty_array, f'{module}._reconstruct'), (_scalar, f'{module}.scalar')]
    # The state of these may be set, but no pickle can name them: a pickle's names have a dot after the module.
    allowed += [(kind, f'unnamed {kind.__name__}') for kind in (np.ndarray, *{type(number) for number in _NUMBERS})]
    torch.serialization.add_safe_globals(allowed)
    if hasattr(checkpoint, '_safe_torch_load'):
        # OneDL's mmengine. Its own allows getattr itself, and reads what that does not read with weights_only=False.
        checkpoint._safe_torch_load = _load


def _load(file: Any, map_location: Any = None, weights_only: Optional[bool] = None) -> Any:
    return torch.load(file, map_location=map_location, weights_only=weights_only is not False)


def _number_type(code: str, *_: Any) -> np.dtype:
    numbers = {number.str[1:]: number for number in _NUMBERS}
    if code not in numbers:
        raise UnpicklingError(f'numpy data of type {code!r} in a checkpoint: only numbers are read')
    # It is a copy, since the pickle then sets its byte order.
    return np.dtype(numbers[code], copy=True)


def _empty_array(*_: Any) -> np.ndarray:
    return np.zeros(0)  # the pickle then sets its shape and numbers


def _scalar(number_type: np.dtype, raw: bytes) -> np.generic:
    return np.frombuffer(raw, number_type, count=1)[0]


def _statistic(owner: Any, name: str) -> Any:
    if owner is not HistoryBuffer or name not in _STATISTICS:
        raise UnpicklingError(f'a checkpoint asks for attribute {name!r} of {owner!r}: refused')
    return getattr(HistoryBuffer, name)
