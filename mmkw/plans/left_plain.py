"""Which layers of any network a method could replace, and which have to stay plain."""

import fnmatch
import functools
import inspect
import re
from collections import Counter
from collections.abc import Sequence

from torch import nn

from mmkw.layers import is_convertible
from mmkw.layers.spec import in_channels_of, kernel_shape

_CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def kernel_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Convolutions and linear layers of a network, and what else has a weight of several axes, by name."""
    return {name: module for name, module in model.named_modules() if _has_kernel(module)}


def left_plain(
    model: nn.Module,
    layers: dict[str, nn.Module],
    skip: Sequence[str] = (),
    min_width: int = 1,
    with_first: bool = False,
) -> dict[str, str]:
    """What stays plain in any network: layer name -> the reason.

    Args:
        model: The plain network.
        layers: Its :func:`kernel_layers`.
        skip: Names, or patterns such as ``'*.se.*'``, of layers to leave plain. Default: none.
        min_width: Layers with fewer input or output channels stay plain. Default: 1.
        with_first: Whether the first convolution does not stay plain. Default: False.

    Raises:
        ValueError: If a pattern fits no layer.
    """
    for pattern in skip:
        if not fnmatch.filter(layers, pattern):
            raise ValueError(f'skip: {pattern!r} fits no convolution or Linear layer of {type(model).__name__}')
    uses = Counter(id(m) for _, m in model.named_modules(remove_duplicate=False))
    weights = Counter(id(p) for _, p in model.named_parameters(remove_duplicate=False))
    patterns = Counter(pattern_of(name) for name in layers)
    first = next((name for name, layer in layers.items() if isinstance(layer, _CONVS)), None)
    last = next(reversed(list(layers)), None)
    plain: dict[str, str] = {}
    for name, layer in layers.items():
        weight = getattr(layer, 'weight', None)
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in skip):
            plain[name] = 'skipped, as asked'
        elif not is_convertible(layer):
            plain[name] = f'no dynamic layer is known for a {type(layer).__name__}; see mmkw.layers.register_layer'
        elif uses[id(layer)] > 1:
            plain[name] = 'is used under more than one name'
        elif weights[id(weight)] != 1:
            plain[name] = 'its weight is shared or computed'
        elif layer._forward_hooks or layer._forward_pre_hooks:
            plain[name] = 'has hooks'
        elif _weight_is_read(model, name):
            plain[name] = 'the module that holds it reads its weight'
        elif name == first and not with_first:
            plain[name] = 'the first convolution'
        elif name == last and isinstance(layer, nn.Linear) and patterns[pattern_of(name)] == 1 and len(layers) > 1:
            plain[name] = 'the classifier'
        elif min(in_channels_of(layer), kernel_shape(layer)[0]) < min_width:
            plain[name] = f'narrower than {min_width} channels'
    return plain


def pattern_of(name: str) -> str:
    """The name with every number in it replaced, which layers at the same place of repeated blocks share."""
    return re.sub(r'(?<![^.])\d+(?![^.])', '#', name)


def _has_kernel(module: nn.Module) -> bool:
    return isinstance(module, (*_CONVS, nn.Linear)) or any(
        name.endswith('weight') and weight.dim() > 1 for name, weight in module.named_parameters(recurse=False)
    )


def _weight_is_read(model: nn.Module, name: str) -> bool:
    """Whether the source of the holder's class says ``.<name>.weight``; a KW layer has no weight to read."""
    holder, _, leaf = name.rpartition('.')
    classes = type(model.get_submodule(holder)).__mro__
    return any(re.search(rf'\.{re.escape(leaf)}\.weight\b', _source(cls)) for cls in classes)


@functools.cache
def _source(cls: type) -> str:
    """Source of a class; nothing of torch's containers, or where there is none."""
    if cls.__module__.startswith('torch.nn.modules.container') or cls in (nn.Module, object):
        return ''
    try:
        return inspect.getsource(cls)
    except (OSError, TypeError):
        return ''
