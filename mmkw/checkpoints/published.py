"""Reads published checkpoints of KernelWarehouse and ODConv safely, and renames their keys to mmkw's."""

import argparse
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Optional, Union

import torch
from torch import Tensor, nn

from mmkw.conversion import check_keys
from mmkw.layers import dynamic_layers, temperature_keys

from .files import read_checkpoint
from .methods import check_method, rename_kernels
from .names import FAMILIES, KW_CLASSIFIER, WAREHOUSE, Names


def read_published(path: Union[str, Path], ema: bool = False) -> dict[str, Tensor]:
    """Read the state dict of a published checkpoint file, under its published names.

    The file is a dict with the state dict under ``model`` (KernelWarehouse) or ``state_dict`` (ODConv), or the state
    dict itself. Nothing in it is executed: besides tensors and plain containers only the ``argparse.Namespace`` that
    training scripts leave under ``args`` is accepted. ``module.``, which distributed training puts before every key,
    is left out.

    Args:
        path: The file.
        ema: Whether to take ``model_ema``, the averaged weights, instead of ``model``. Default: False.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, is refused for what it would execute, or has no state dict.
    """
    # Before torch 2.5 there is no list of allowed classes, and a file with a Namespace is refused.
    allow = getattr(torch.serialization, 'safe_globals', nullcontext)
    hint = 'download it from the published model table'
    checkpoint = read_checkpoint(path, hint, allow([argparse.Namespace]))
    state = None
    if isinstance(checkpoint, dict):
        if ema and 'model_ema' not in checkpoint:
            raise ValueError(f'checkpoint {path} has no averaged weights (`model_ema`), only {sorted(checkpoint)}')
        state = checkpoint['model_ema'] if ema else checkpoint.get('model', checkpoint.get('state_dict', checkpoint))
    if not isinstance(state, Mapping) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(
            f'checkpoint {path} is no published checkpoint: it has no state dict, nor one under `model` or `state_dict`'
        )
    return {key.removeprefix('module.'): value for key, value in state.items()}


def published_to_mmkw(
    state: Mapping[str, Tensor], backbone: nn.Module, head: Optional[nn.Module] = None
) -> dict[str, Tensor]:
    """Rename a published state dict to ``backbone.*`` and ``head.*``, and leave out stages that the backbone lacks.

    Args:
        state: A state dict as :func:`read_published` returns it.
        backbone: The backbone it is for: mmpretrain's ResNet, MobileNetV2, ConvNeXt or EfficientNet with the file's
            method in it, such as KWResNet, or the plain one.
        head: The classifier, to check its keys too. Default: None.

    Raises:
        ValueError: If the checkpoint is of another network, method, number of kernels or budget, or a key or shape
            does not fit.
    """
    family = _family_of(state, backbone)
    check_method(state, backbone)
    state = {key: value for key, value in state.items() if not family.is_left_out(key, backbone)}
    renamed = {**_renamed_warehouses(state, backbone), **_renamed_layers(state, backbone, family)}
    parts = {'backbone': backbone} if head is None else {'backbone': backbone, 'head': head}
    _fit(renamed, parts)
    return renamed


def _family_of(state: Mapping[str, Tensor], backbone: nn.Module) -> type[Names]:
    """The family of the backbone; raises ValueError unless the state dict is of the same network."""
    family = next((family for family in FAMILIES if isinstance(backbone, family.backbone)), None)
    if family is None:
        raise ValueError(f'no published checkpoint is known for a {type(backbone).__name__}')
    found = next((other for other in FAMILIES if any(key.startswith(other.known_by) for key in state)), None)
    described = found.describe(state) if found else 'network of no known kind'
    expected = family.describe_backbone(backbone)
    if described != expected:
        raise ValueError(f'the checkpoint is a {described}, the model a {expected}')
    return family


def _renamed_warehouses(state: Mapping[str, Tensor], backbone: nn.Module) -> dict[str, Tensor]:
    cells = {int(key[len(WAREHOUSE) :]): value for key, value in state.items() if key.startswith(WAREHOUSE)}
    names = [f'backbone.warehouses.{name}' for name in _warehouse_names(backbone)]
    backbone_cells = [cells[index] for index in sorted(cells)]
    if any(key.startswith(KW_CLASSIFIER) for key in state):
        # The published classifier's warehouse comes last.
        names.append('head.warehouses.classifier')
        backbone_cells.pop()
    _check_budget(backbone_cells, state, backbone)
    return {name: cells[index] for name, index in zip(names, sorted(cells))}


def _renamed_layers(state: Mapping[str, Tensor], backbone: nn.Module, family: type[Names]) -> dict[str, Tensor]:
    renamed, layers = {}, dynamic_layers(backbone)
    for key, value in state.items():
        if key.startswith(WAREHOUSE):
            continue
        if key.startswith(family.head):
            prefix = next(prefix for prefix in family.head if key.startswith(prefix))
            renamed[f'head.fc.{key.removeprefix(prefix)}'] = value
        elif (name := family.rename(key, backbone)) is not None:
            renamed[f'backbone.{rename_kernels(name, layers)}'] = value
    return renamed


def _warehouse_names(backbone: nn.Module) -> list[str]:
    return [name for name, _ in backbone.warehouses.named_parameters()] if hasattr(backbone, 'warehouses') else []


def _check_budget(found: list[Tensor], state: Mapping[str, Tensor], backbone: nn.Module) -> None:
    """Raise an error that names both budgets (cells over the weights that they stand for) if warehouses differ."""
    names = _warehouse_names(backbone)
    expected = [backbone.warehouses[name] for name in names]
    if [cells.shape for cells in found] == [cells.shape for cells in expected]:
        return
    plain = (
        sum(value.numel() for value in state.values() if value.dim() == 4),
        sum(conv.weight.numel() for conv in backbone.modules() if isinstance(conv, nn.Conv2d)),
    )
    weights = plain[1] + sum(backbone.warehouses[name].numel() / backbone.warehouses.budgets[name] for name in names)
    budgets = [
        f'budget b = {sum(cells.numel() for cells in warehouses) / (weights - plain_weights):.3g}'
        for warehouses, plain_weights in zip((found, expected), plain)
    ]
    raise ValueError(
        f'the checkpoint has {budgets[0]}, the model {budgets[1]}; take the file or the `budget` that matches'
    )


def _fit(renamed: dict[str, Tensor], parts: Mapping[str, nn.Module]) -> None:
    """Bring renamed values to the shapes of the parts, in place, and check that they fill the parts."""
    expected = {f'{part}.{key}': v for part, module in parts.items() for key, v in module.state_dict().items()}
    for part, module in parts.items():
        for key in temperature_keys(module):
            del expected[f'{part}.{key}']
    _reshape(renamed, expected)
    # A detector's ConvNeXt has norms of feature maps, which the published classifier lacks.
    optional = tuple(f'backbone.norm{stage}.' for stage in range(4))
    check_keys(
        {key: value for key, value in renamed.items() if key.split('.')[0] in parts},
        {key: value for key, value in expected.items() if key in renamed or not key.startswith(optional)},
        'keys of the checkpoint do not fit the model',
    )


def _reshape(renamed: dict[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Reshape, in place, published values that have as many numbers as ours but other axes.

    These are values with axes of length 1 (ConvNeXt's gamma, the matrices of ODConv's attentions) and the flat bias of
    the attention's basis form. The published figures that we have do not name this bias, so its size tells it.
    """
    for key, value in expected.items():
        if key.endswith('.basis_bias') and key not in renamed:
            attention = key[: -len('basis_bias')]
            others = [k for k in renamed if k.startswith(attention) and k not in expected]
            same_size = [k for k in others if renamed[k].numel() == value.numel()]
            if len(same_size) == 1:
                renamed[key] = renamed.pop(same_size[0])
        found = renamed.get(key)
        if found is None or found.shape == value.shape:
            continue
        flat_bias = key.endswith('.basis_bias') and found.numel() == value.numel()
        if flat_bias or found.squeeze().shape == value.squeeze().shape:
            renamed[key] = found.reshape(value.shape)
