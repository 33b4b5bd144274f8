"""Reads plain checkpoints of torchvision, mmpretrain and mmdet, and renames their keys to mmkw's."""

import re
from collections.abc import Mapping
from typing import Optional

from mmengine.logging import MMLogger
from mmpretrain.models.backbones import ConvNeXt, EfficientNet, MobileNetV2, ResNet
from torch import Tensor, nn

from mmkw.conversion import fit_plain, warm_start
from mmkw.layers import set_temperature, temperature_ranges

from .files import fetch_checkpoint, read_checkpoint
from .names import ConvNeXtNames, EfficientNetNames, MobileNetV2Names, ResNetNames

_TORCHVISION_CONVNEXT = {'0': 'depthwise_conv', '2': 'norm', '3': 'pointwise_conv1', '5': 'pointwise_conv2'}
_CLASSIFIER = re.compile(r'(?:_?fc|classifier\.[12]|head)\.(weight|bias)')


def read_plain(checkpoint: str) -> dict[str, Tensor]:
    """Read the state dict of a plain checkpoint, under its own names.

    Args:
        checkpoint: A file, ``torchvision://NAME`` or ``https://...``. It holds the state dict itself, or a dict with it
            under ``state_dict`` or ``model``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be fetched, is damaged, is refused for what it would execute, or has no state dict.
    """
    if '://' in checkpoint:
        found = fetch_checkpoint(checkpoint)
    else:
        found = read_checkpoint(checkpoint, 'give the path of a plain checkpoint, or torchvision://NAME to fetch one')
    state = found.get('state_dict', found.get('model', found)) if isinstance(found, Mapping) else None
    if not isinstance(state, Mapping) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f'checkpoint {checkpoint} has no state dict, nor one under `state_dict` or `model`')
    return {key.removeprefix('module.'): value for key, value in state.items()}


def plain_to_mmkw(state: Mapping[str, Tensor], backbone: nn.Module) -> dict[str, Tensor]:
    """Rename a plain state dict to ``backbone.*`` and ``head.*``.

    It knows the names of mmpretrain and mmdet, in a classifier or detector (``backbone.``) or in a backbone alone. For
    ResNet, MobileNetV2 and ConvNeXt it knows torchvision's too, for ConvNeXt those of its own release, and for
    EfficientNet those of EfficientNet-PyTorch.

    Args:
        state: A state dict as :func:`read_plain` returns it.
        backbone: The backbone that it is for, plain or with KW layers. Keys of parts that the backbone has not are left
            out; those of a classifier become ``head.*``.
    """
    whole = any(key.startswith('backbone.') for key in state)
    parts = {name for name, _ in (*backbone.named_children(), *backbone.named_parameters(recurse=False))}
    renamed: dict[str, Tensor] = {}
    if isinstance(backbone, ConvNeXt):
        # Classifiers do not have the norms of a detector's feature maps, so these keep what they hold.
        norms = {key: value for key, value in backbone.state_dict().items() if re.match(r'norm\d\.', key)}
        renamed = {f'backbone.{key}': value for key, value in norms.items()}
    for key, value in state.items():
        if whole and key.startswith('head.'):
            renamed[key] = value
        elif not whole and (match := _CLASSIFIER.fullmatch(key)):
            renamed[f'head.fc.{match.group(1)}'] = value
        elif not whole or key.startswith('backbone.'):
            name = _rename(key.removeprefix('backbone.'), backbone)
            if name is not None and name.split('.')[0] in parts:
                renamed[f'backbone.{name}'] = value
    return renamed


def warm_start_from_plain(model: nn.Module, state: Mapping[str, Tensor], source: str) -> dict[str, float]:
    """Fill a dynamic backbone, or a classifier with one, from a plain checkpoint.

    The temperature of every layer becomes the one at which its schedule starts.

    Args:
        model: A backbone, or a model whose only parts with parameters are ``backbone`` and ``head``.
        state: A state dict as :func:`read_plain` returns it, under any names that :func:`plain_to_mmkw` knows.
        source: Name of the checkpoint, for messages.

    Returns:
        What :func:`mmkw.conversion.warm_start` returns. It is logged too.

    Raises:
        ValueError: If the checkpoint does not fit. The model is then unchanged.
    """
    try:
        errors = warm_start(model, _for_model(state, model))
    except ValueError as error:
        raise ValueError(f'checkpoint {source} cannot start the model: {_explain(error, state, model)}') from error
    if temperature_ranges(model):
        set_temperature(model, lambda own: own.start)
    starts = sorted({own.start for _, own in temperature_ranges(model).values()})
    place = f' at temperature {" and ".join(f"{start:g}" for start in starts)}' if starts else ''
    lost = [f'{name} {error:.3f}' for name, error in errors.items() if error]
    exact = f'the network computes{place} what the plain one does'
    text = f'relative error of the kernels{place}: {", ".join(lost)}' if lost else exact
    MMLogger.get_current_instance().info(f'warm start from the plain checkpoint {source}; {text}')
    return errors


def check_plain(model: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Raise the errors that :func:`warm_start_from_plain` would raise, and change nothing."""
    try:
        fit_plain(model, _for_model(state, model))
    except ValueError as error:
        raise ValueError(f'checkpoint {source} cannot start the model: {_explain(error, state, model)}') from error


def _for_model(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    if 'backbone' not in dict(model.named_children()):
        prefix = 'backbone.'
        renamed = plain_to_mmkw(state, model)
        return {key[len(prefix) :]: value for key, value in renamed.items() if key.startswith(prefix)}
    renamed = plain_to_mmkw(state, model.backbone)
    parts = tuple(f'{name}.' for name, _ in model.named_children())
    return {key: value for key, value in renamed.items() if key.startswith(parts)}


def _rename(key: str, backbone: nn.Module) -> Optional[str]:
    if isinstance(backbone, MobileNetV2) and key.startswith('features.'):
        return MobileNetV2Names.rename(key, backbone)
    if isinstance(backbone, EfficientNet) and key.startswith('_'):
        return EfficientNetNames.rename(key, backbone)
    if isinstance(backbone, ConvNeXt):
        if match := re.fullmatch(r'features\.(\d+)\.(.*)', key):
            return _rename_torchvision_convnext(int(match.group(1)), match.group(2))
        return ConvNeXtNames.rename(re.sub(r'^classifier\.0\.', 'norm.', key), backbone)
    return key


def _rename_torchvision_convnext(number: int, rest: str) -> str:
    """Rename a key ``features.<number>.<rest>``: even numbers are stem and downsample layers, odd ones stages."""
    if number % 2 == 0:
        return f'downsample_layers.{number // 2}.{rest}'
    block, rest = rest.split('.', 1)
    if rest == 'layer_scale':
        return f'stages.{number // 2}.{block}.gamma'
    _, part, rest = rest.split('.')
    return f'stages.{number // 2}.{block}.{_TORCHVISION_CONVNEXT[part]}.{rest}'


def _explain(error: ValueError, state: Mapping[str, Tensor], model: nn.Module) -> str:
    """Name both networks if they are ResNets of different depth; the error itself would list keys."""
    backbone = model.backbone if 'backbone' in dict(model.named_children()) else model
    state = {key.removeprefix('backbone.'): value for key, value in state.items()}
    is_resnet = any(key.startswith(ResNetNames.known_by) for key in state)
    if is_resnet and getattr(backbone, 'arch_settings', None) is ResNet.arch_settings:
        found, expected = ResNetNames.describe(state), ResNetNames.describe_backbone(backbone)
        if found != expected:
            return f'it is a {found}, the model a {expected}'
    return str(error)
