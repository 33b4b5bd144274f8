"""Registers mmcv's layers, which have a forward of their own, so that dynamic layers can take their place too."""

import math

import torch.nn.functional as F
from mmcv.cnn.bricks import Conv2dAdaptivePadding, wrappers
from torch import Tensor, nn

from mmkw.layers import DynamicConvNd, register_layer


class AdaptivePadding(DynamicConvNd):
    """Pads the input as mmcv's Conv2dAdaptivePadding does, so that the output's size is ``ceil(size / stride)``.

    The attention sees the padded input.
    """

    plain_class = Conv2dAdaptivePadding

    def prepare(self, x: Tensor) -> Tensor:
        """Put zeros around an input ``(B, C, H, W)``."""
        sides: list[int] = []  # the last axis comes first, as F.pad wants it
        for axis in (1, 0):
            size, stride = x.shape[axis + 2], self.stride[axis]
            window = (self.kernel_size[axis] - 1) * self.dilation[axis] + 1
            missing = max((math.ceil(size / stride) - 1) * stride + window - size, 0)
            sides += [missing // 2, missing - missing // 2]
        return F.pad(super().prepare(x), sides)


# mmcv's own classes differ from torch's in what they do for empty inputs and old versions of torch.
register_layer(wrappers.Conv2d, like=nn.Conv2d)
register_layer(wrappers.Conv3d, like=nn.Conv3d)
register_layer(wrappers.Linear, like=nn.Linear)
register_layer(Conv2dAdaptivePadding, like=nn.Conv2d, mixin=AdaptivePadding)
