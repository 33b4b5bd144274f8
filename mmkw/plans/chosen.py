"""Choosing the convolutions that a method replaces, and saying what stays plain."""

from collections.abc import Callable, Mapping, Sequence
from typing import Optional

from torch import nn

from .anatomy import Block
from .left_plain import kernel_layers, left_plain


def chosen_layers(
    network: nn.Module,
    method: str,
    places: Optional[Sequence[str]],
    skip: Sequence[str],
    min_width: int,
    log: Callable[[str], None],
    refusal: Callable[[nn.Module], Optional[str]] = lambda layer: None,
    with_first: bool = False,
) -> tuple[str, ...]:
    """The 2-d convolutions that a method replaces, by name, in network order.

    Args:
        network: The plain network.
        method: Name of the method.
        places: The convolutions that the method's rule names. None: all but the first one.
        skip: Names, or patterns such as ``'*.se.*'``, of layers to leave plain.
        min_width: Where the rule names none, convolutions with fewer input or output channels stay plain.
        log: Called with the list of them, and of what stays plain and why.
        refusal: Why a 2-d convolution cannot be one of them, or None. Default: each can.
        with_first: Whether the first convolution can be one of them. Default: False.

    Raises:
        ValueError: If a pattern fits no layer, or no convolution is left.
    """
    layers = kernel_layers(network)
    plain = left_plain(network, layers, skip, min_width if places is None else 1, with_first)
    for name, layer in layers.items():
        if places is not None and name not in places:
            plain.setdefault(name, f'not a place of {method}')
        elif not isinstance(layer, nn.Conv2d):
            plain.setdefault(name, f'{method} replaces 2-d convolutions')
        elif name not in plain and (reason := refusal(layer)) is not None:
            plain[name] = reason
    chosen = tuple(name for name in layers if name not in plain)
    reasons = ''.join(f'\n  plain: {name} ({reason})' for name, reason in plain.items())
    if not chosen:
        raise ValueError(f'{type(network).__name__} has no convolution for {method}{reasons}')
    log(f'{method}: {len(chosen)} layers, {", ".join(chosen)}{reasons}')
    return chosen


def chosen_blocks(
    network: nn.Module,
    method: str,
    blocks: Sequence[Block],
    shortcuts: bool,
    log: Callable[[str], None],
) -> dict[str, tuple[str, ...]]:
    """The convolutions that a method replaces a block at a time: block -> layers in the order of the forward pass.

    A block whose first convolution has to stay plain stays plain: this is the one that sees the block's input.

    Args:
        network: The plain network.
        method: Name of the method.
        blocks: The blocks that the method's rule names.
        shortcuts: Whether the convolutions of the shortcuts are replaced too.
        log: Called with the list of them, and of what stays plain and why.

    Raises:
        ValueError: If no block is left.
    """
    places = {
        block.name: (*block.convs, *([block.shortcut] if shortcuts and block.shortcut is not None else []))
        for block in blocks
    }
    fixed = left_plain(network, kernel_layers(network))
    places = {name: layers for name, layers in places.items() if layers[0] not in fixed}
    chosen = chosen_layers(network, method, [layer for layers in places.values() for layer in layers], (), 1, log)
    return {name: tuple(layer for layer in layers if layer in chosen) for name, layers in places.items()}


def blocks_by_hand(
    method: str, blocks: Mapping[str, Sequence[str]], log: Callable[[str], None]
) -> dict[str, tuple[str, ...]]:
    """What :func:`chosen_blocks` returns, for layers that a config names within their blocks."""
    places = {block: tuple(f'{block}.{layer}' for layer in layers) for block, layers in blocks.items()}
    names = [layer for layers in places.values() for layer in layers]
    log(f'{method}: {len(names)} layers, {", ".join(names)}')
    return places
