"""Parameters and multiply-adds of a config's model, and what it is trained on."""

import platform
from pathlib import Path
from typing import Any, Optional

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from mmkw.inspection import counted_pass, image_channels, model_info


def sizes(cfg: Config, shape: Optional[tuple[int, int]]) -> dict[str, Any]:
    """Count a config's model.

    Args:
        cfg: The config.
        shape: Height and width of the image that is counted for. None: multiply-adds are not counted.

    Returns:
        ``parameters`` of the whole model; ``multiply_adds`` of one image, None without a shape, and ``counted``, what
        they are of: the network, or a detector's backbone and neck.
    """
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model).eval().to('meta')
    parameters = sum(p.numel() for p in model.parameters())
    if shape is None:
        return dict(parameters=parameters, multiply_adds=None, counted=None)
    forward, counted = counted_pass(model)
    channels = image_channels(model, forward, shape)
    info = model_info(model, forward, torch.zeros(1, channels, *shape, device='meta'))
    total = info.convolution + info.attention + info.assembly
    return dict(parameters=parameters, multiply_adds=total, counted=counted)


def machine(threads: int) -> str:
    """What trainings run on here, in words."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name(0)
    lines = Path('/proc/cpuinfo').read_text().splitlines() if Path('/proc/cpuinfo').is_file() else []
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return f'{names[0] if names else platform.processor() or "CPU"}, {threads} thread{"s" * (threads > 1)}'
