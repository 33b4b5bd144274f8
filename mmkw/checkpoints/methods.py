"""The methods whose published files are read: how a file, and a backbone, is known to be of one."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from torch import Tensor, nn

from mmkw.layers import DynamicLayer, KWConvNd, ODConv2d, dynamic_layers

from .names import WAREHOUSE, State


class Method(NamedTuple):
    """What is known of a published method.

    Args:
        name: The method's name.
        layer: Class of its layers.
        known_by: A key of its state dicts matches this from the start.
        kernels: What its files call the kernels of a layer, ``kernels`` here; ``''`` if a layer has none of its own.
            All other values of a layer have the same names here.
    """

    name: str
    layer: type[DynamicLayer]
    known_by: str
    kernels: str

    def in_words(self, banks: Iterable[Tensor]) -> str:
        """The method, and how many kernels its layers have."""
        counts = sorted({len(bank) for bank in banks}) if self.kernels else []
        return (
            f'{self.name} with {" or ".join(map(str, counts))} kernel{"s" * (counts != [1])}' if counts else self.name
        )


METHODS = (
    Method('KernelWarehouse', KWConvNd, re.escape(WAREHOUSE), ''),
    Method('ODConv', ODConv2d, r'.*\.attention\.channel_fc\.', 'weight'),
)


def check_method(state: State, backbone: nn.Module) -> None:
    """Check that a published state dict and a backbone are of the same method, with as many kernels.

    Raises:
        ValueError: If they are not.
    """
    found, expected = _of_state(state), _of_backbone(backbone)
    if found != expected:
        raise ValueError(
            f'the checkpoint is of {found}, the model of {expected}; take the file or the config that matches'
        )


def rename_kernels(key: str, layers: dict[str, DynamicLayer]) -> str:
    """A published key with our name of a layer's kernels.

    Args:
        key: The key, under the backbone's names but for that.
        layers: The backbone's dynamic layers.
    """
    name, _, leaf = key.rpartition('.')
    is_bank = any(isinstance(layers.get(name), method.layer) and leaf == method.kernels for method in METHODS)
    return f'{name}.kernels' if is_bank else key


def _of_state(state: State) -> str:
    for method in METHODS:
        if any(re.match(method.known_by, key) for key in state):
            ending = f'.{method.kernels}'
            return method.in_words(v for key, v in state.items() if v.dim() == 5 and key.endswith(ending))
    return 'a method that is not known' if any(v.dim() == 5 for v in state.values()) else 'a plain network'


def _of_backbone(backbone: nn.Module) -> str:
    layers = dynamic_layers(backbone).values()
    words = []
    for kind in dict.fromkeys(map(type, layers)):
        method = next((method for method in METHODS if issubclass(kind, method.layer)), None)
        banks = [layer.bank for layer in layers if type(layer) is kind and layer.bank is not None]
        words.append(method.in_words(banks) if method else f'{kind.__name__} layers')
    return ' and '.join(dict.fromkeys(words)) or 'a plain network'
