"""Where DCD acts, and the sizes that its release gives a layer by where it stands."""

import math
from collections.abc import Callable
from typing import Optional

from torch import nn

from mmkw.layers import DCDSpec, Plan

from .anatomy import classifier_of, known_anatomy
from .chosen import chosen_layers
from .registry import register_method


@register_method('DCD')
def dcd(network: nn.Module, fc_std: Optional[float] = None, log: Callable[[str], None] = print) -> Plan:
    """DCD (Li et al., ICLR 2021) in the blocks of a ResNet or MobileNetV2, and in a classifier.

    In a ResNet it replaces all convolutions of the blocks but the shortcuts', in a MobileNetV2 the pointwise ones of
    blocks that expand. Every layer is a group of the plan, since its sizes follow from its width.

    Args:
        network: The plain network, or a classification head of one linear layer.
        fc_std: Standard deviation that the attentions' layers start with. Default: None, as in the release: 0.01 in a
            MobileNetV2, else torch's own start.
        log: Called with the list of the layers, and of what stays plain. Default: print.

    Raises:
        ValueError: If the network's blocks are not known.
    """
    classifier = classifier_of(network)
    if classifier is not None:
        return {'classifier': DCDSpec((classifier,), latent=32, squeeze=32, fc_std=fc_std)}
    anatomy = known_anatomy(network, 'DCD', 'give mmkw.convert a plan of your own, of DCDSpec')
    sizes_of: dict[str, Callable[[nn.Module], dict[str, int]]] = {}
    for block in anatomy.blocks:
        if anatomy.family == 'resnet':
            rule = _in_basic_block if len(block.convs) == 2 else _in_bottleneck
            sizes_of.update(dict.fromkeys(block.convs, rule))
        elif len(block.convs) == 3:
            sizes_of.update(dict.fromkeys((block.convs[0], block.convs[2]), _in_inverted_residual))
    if fc_std is None and anatomy.family == 'mobilenet_v2':
        fc_std = 0.01
    refusal = DCDSpec((), latent=1, squeeze=1).refusal
    layers = chosen_layers(network, 'DCD', list(sizes_of), (), 1, log, refusal)
    return {
        name.replace('.', '_'): DCDSpec((name,), fc_std=fc_std, **sizes_of[name](network.get_submodule(name)))
        for name in layers
    }


def _in_basic_block(conv: nn.Module) -> dict[str, int]:
    pooled = 4 * conv.in_channels
    latent = math.isqrt(pooled)
    return dict(latent=latent, squeeze=max(max(pooled, latent**2) // 16, 4), pool=2)


def _in_bottleneck(conv: nn.Module) -> dict[str, int]:
    latent = math.isqrt(conv.in_channels)
    return dict(latent=latent, squeeze=max(max(conv.in_channels, latent**2) // 16, 1), pool=1)


def _in_inverted_residual(conv: nn.Module) -> dict[str, int]:
    expands = conv.in_channels < conv.out_channels
    pooled, divisor = conv.in_channels * (4 if expands else 1), 8 if expands else 2

    def latent() -> int:
        return min(pooled // divisor, conv.out_channels // divisor)

    while latent() ** 2 > 2 * pooled:
        divisor *= 2
    channels = max(latent(), 4)
    return dict(latent=channels, squeeze=max(max(pooled, channels**2) // 16, 4), pool=2 if expands else 1)
