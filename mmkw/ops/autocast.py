"""Autocast as it is asked after in all versions of torch."""

from contextlib import nullcontext
from typing import Any, Optional

import torch


def autocast_dtype(device: str) -> Optional[torch.dtype]:
    """The type that autocast is on for, if it is, for a type of device."""
    if device == 'meta':  # on which torch.compile finds out shapes; it knows no autocast
        return None
    if hasattr(torch, 'get_autocast_dtype'):  # torch 2.4
        return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
    if device == 'cpu':
        return torch.get_autocast_cpu_dtype() if torch.is_autocast_cpu_enabled() else None
    return torch.get_autocast_gpu_dtype() if torch.is_autocast_enabled() else None


def no_autocast(device: str) -> Any:
    """A context without autocast, for a type of device."""
    return nullcontext() if autocast_dtype(device) is None else torch.autocast(device, enabled=False)
