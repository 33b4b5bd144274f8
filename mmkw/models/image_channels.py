"""How many channels the images of a network have."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mmkw.layers import KWConvNd

_USUAL = 3


class _Reached(Exception):
    """The probe has reached a layer with weights; the two widths are what it was built for and what came."""


def image_channels(model: nn.Module, forward: Callable[[Tensor], Any], size: tuple[int, int]) -> int:
    """Number of channels of a network's images, from the first convolution or Linear layer that an image reaches.

    A probe of 3 channels runs up to that layer and no further. What comes before it, such as cutting an image into
    patches, only moves pixels: the width that the layer was built for is to the width that comes as the channels to 3.

    Args:
        model: The network, on any device; the meta device does.
        forward: The pass that takes the images, ``model`` itself or a part of it.
        size: Height and width of the probe.

    Returns:
        The number; 3 where no layer tells.
    """

    def stop(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if hasattr(layer, 'in_features'):
            raise _Reached(layer.in_features, inputs[0].shape[-1])
        raise _Reached(layer.in_channels, inputs[0].shape[1])

    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, KWConvNd)
    hooks = [module.register_forward_pre_hook(stop) for module in model.modules() if isinstance(module, kinds)]
    device = next((p.device for p in model.parameters()), None)
    try:
        with torch.no_grad():
            forward(torch.zeros(1, _USUAL, *size, device=device))
    except _Reached as reached:
        built_for, came = reached.args
        return _USUAL * built_for // came if _USUAL * built_for % came == 0 else _USUAL
    except Exception:
        return _USUAL  # something before the first layer refused the probe; the pass itself will say why
    finally:
        for hook in hooks:
            hook.remove()
    return _USUAL
