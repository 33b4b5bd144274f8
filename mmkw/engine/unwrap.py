"""The network inside of what a Runner trains."""

from mmengine.model import BaseAveragedModel, is_model_wrapper
from torch import nn


def unwrap(model: nn.Module) -> nn.Module:
    """The model inside the wrappers of distributed training and mmengine's averages; itself where there are none."""
    while is_model_wrapper(model) or isinstance(model, BaseAveragedModel):
        model = model.module
    return model
