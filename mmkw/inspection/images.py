"""Finds out how many channels the images of a network have."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mmkw.layers import DynamicConvNd

_USUAL = 3


class _Reached(Exception):
    """The probe has reached a layer with weights. Arguments: the width that it was built for, and the probe's width."""


def image_channels(model: nn.Module, forward: Callable[[Tensor], Any], size: tuple[int, int]) -> int:
    """Number of channels of a network's images, from the first convolution or Linear layer that an image reaches.

    A probe of 3 channels runs up to that layer and no further. What comes before the layer, such as cutting an image
    into patches, only moves pixels. So the ratio of the layer's width to the probe's width is the ratio of the number
    of channels to 3.

    Args:
        model: The network, on any device, the meta device included.
        forward: The pass that takes the images, ``model`` itself or a part of it.
        size: Height and width of the probe.

    Returns:
        The number of channels; 3 if no layer tells.
    """

    def stop(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if hasattr(layer, 'in_features'):
            raise _Reached(layer.in_features, inputs[0].shape[-1])
        raise _Reached(layer.in_channels, inputs[0].shape[1])

    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, DynamicConvNd)
    hooks = [module.register_forward_pre_hook(stop) for module in model.modules() if isinstance(module, kinds)]
    device = next((p.device for p in model.parameters()), None)
    try:
        with torch.no_grad():
            forward(torch.zeros(1, _USUAL, *size, device=device))
    except _Reached as reached:
        built_for, came = reached.args
        return _USUAL * built_for // came if _USUAL * built_for % came == 0 else _USUAL
    except Exception:
        return _USUAL  # something before the first layer refuses the probe; the real pass will raise its own error
    finally:
        for hook in hooks:
            hook.remove()
    return _USUAL
