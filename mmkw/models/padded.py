"""KW layers for mmcv's layers that have a forward of their own."""

import math

import torch.nn.functional as F
from mmcv.cnn.bricks import Conv2dAdaptivePadding, wrappers
from torch import Tensor

from mmkw.layers import KWConv2d, KWConv3d, KWLinear
from mmkw.plans import register_layer


class KWConv2dAdaptivePadding(KWConv2d):
    """KWConv2d that pads its input as mmcv's Conv2dAdaptivePadding does, so that the output has ``size / stride``.

    The attention pools over the padded input.
    """

    def forward(self, x: Tensor) -> Tensor:
        sides: list[int] = []  # of the last axis first, as F.pad wants them
        for axis in (1, 0):
            size, stride = x.shape[axis + 2], self.stride[axis]
            window = (self.kernel_size[axis] - 1) * self.dilation[axis] + 1
            missing = max((math.ceil(size / stride) - 1) * stride + window - size, 0)
            sides += [missing // 2, missing - missing // 2]
        return super().forward(F.pad(x, sides))


# mmcv's own classes differ from torch's in what they do for empty inputs and old versions of torch.
register_layer(wrappers.Conv2d, KWConv2d)
register_layer(wrappers.Conv3d, KWConv3d)
register_layer(wrappers.Linear, KWLinear)
register_layer(Conv2dAdaptivePadding, KWConv2dAdaptivePadding)
