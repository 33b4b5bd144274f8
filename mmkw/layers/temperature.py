"""Setting the temperature of a whole model."""

import torch
from torch import nn

from .conv import KWConvNd


def set_temperature(model: nn.Module, temperature: float) -> None:
    """Set tau of every KernelWarehouse layer in a model (section 3.3).

    Args:
        model: Any module that holds KW layers; layers elsewhere that share a warehouse with these follow.
        temperature: 1 makes every mixture its start cell, 0 the plain attention.

    Raises:
        ValueError: If the temperature lies outside [0, 1], or the model has no KW layer.
    """
    if not 0 <= temperature <= 1:
        raise ValueError(f'temperature must lie in [0, 1], got {temperature}')
    stores = {module.warehouses for module in model.modules() if isinstance(module, KWConvNd)}
    if not stores:
        raise ValueError(f'{type(model).__name__} has no KernelWarehouse layer whose temperature could be set')
    with torch.no_grad():
        for store in stores:
            store.temperature.fill_(temperature)
