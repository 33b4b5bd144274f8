"""Finds the parts of a network by which methods choose layers: stem, residual blocks and what follows them."""

from dataclasses import dataclass
from typing import Optional

from torch import nn


@dataclass(frozen=True)
class Block:
    """A residual block; all names are as in ``named_modules()``.

    Args:
        name: Name of the block. The input of its first convolution is the input of the block.
        convs: Its convolutions in the order of the forward pass, without that of the shortcut.
        norm: The norm after the last convolution; its output is added to the shortcut.
        shortcut: The convolution of the shortcut, if there is one.
    """

    name: str
    convs: tuple[str, ...]
    norm: str
    shortcut: Optional[str] = None


@dataclass(frozen=True)
class Anatomy:
    """The parts of a network that the rules of methods speak of; all names are as in ``named_modules()``.

    Args:
        family: ``'resnet'`` or ``'mobilenet_v2'``.
        stem: The first convolution.
        blocks: The residual blocks in network order.
        last: The convolution after the last block, if there is one (MobileNetV2's 1x1).
    """

    family: str
    stem: str
    blocks: tuple[Block, ...]
    last: Optional[str] = None


def anatomy_of(network: nn.Module) -> Optional[Anatomy]:
    """Find the parts of a ResNet or MobileNetV2 of mmpretrain or mmdet, or of one built like them; else return None."""
    if hasattr(network, 'res_layers'):
        return _resnet(network)
    if hasattr(network, 'layer7') and hasattr(network, 'conv2'):
        return _mobilenet_v2(network)
    return None


def known_anatomy(network: nn.Module, method: str, remedy: str) -> Anatomy:
    """The parts of a network, for a method that works a block at a time.

    Args:
        network: The plain network.
        method: Name of the method.
        remedy: What to do where the parts are not known, for the message.

    Raises:
        ValueError: If they are not known.
    """
    anatomy = anatomy_of(network)
    if anatomy is None:
        raise ValueError(
            f'{method} works a block at a time, and the blocks of a {type(network).__name__} are not known: {remedy}'
        )
    return anatomy


def _resnet(network: nn.Module) -> Anatomy:
    blocks = []
    for stage in network.res_layers:
        for index, block in enumerate(getattr(network, stage)):
            name = f'{stage}.{index}'
            convs = [conv for conv in ('conv1', 'conv2', 'conv3') if hasattr(block, conv)]
            # With avg_down the first module is a pooling.
            shortcut = next(
                (i for i, m in enumerate(block.downsample or ()) if isinstance(m, nn.modules.conv._ConvNd)), None
            )
            blocks.append(
                Block(
                    name,
                    tuple(f'{name}.{conv}' for conv in convs),
                    f'{name}.{getattr(block, f"norm{len(convs)}_name")}',
                    None if shortcut is None else f'{name}.downsample.{shortcut}',
                )
            )
    first = next(name for name, module in network.named_modules() if isinstance(module, nn.modules.conv._ConvNd))
    return Anatomy('resnet', first, tuple(blocks))


def _mobilenet_v2(network: nn.Module) -> Anatomy:
    blocks = []
    for group in range(1, 8):
        for index, block in enumerate(getattr(network, f'layer{group}')):
            name = f'layer{group}.{index}'
            convs = tuple(f'{name}.conv.{i}.conv' for i in range(len(block.conv)))
            blocks.append(Block(name, convs, f'{name}.conv.{len(convs) - 1}.bn'))
    return Anatomy('mobilenet_v2', 'conv1.conv', tuple(blocks), last='conv2.conv')


def classifier_of(network: nn.Module) -> Optional[str]:
    """Name of a classification head's linear layer, if no other layer has weights; None for any other network."""
    layers = {name: module for name, module in network.named_modules() if len(module._parameters)}
    (name, layer), *others = layers.items() or [('', network)]
    return name if isinstance(layer, nn.Linear) and not others else None
