"""How far a warehouse is shared: cutting a plan's warehouses into smaller ones, as the paper's ablation does."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import nn

from .plan import Plan, WarehousePlan

_SHARINGS = ('stage', 'shape', 'layer', 'none')


def split_by_sharing(plan: Mapping[str, WarehousePlan], model: nn.Module) -> Plan:
    """Split each warehouse as its ``sharing`` asks.

    ``'stage'`` leaves a warehouse whole. ``'shape'`` makes one for each kernel shape, such as ``stage0_64x64x3x3``;
    what is not partitioned has to agree in a warehouse, so this is what spatial or channel partition off need where
    shapes differ. ``'layer'`` makes one for each layer, such as ``stage0_layer1_0_conv1``. ``'none'`` does too, and
    besides gives each mixture its own cells (:class:`mmkw.layers.KWConvNd`, ``share_cells``). A split-off
    warehouse of a single layer has no cells of other layers, and so not the attention's basis form.

    Args:
        plan: The plan; it stays as it is.
        model: The plain network, with the layers that the plan names.

    Raises:
        ValueError: If a ``sharing`` is unknown or two warehouses would get the same name.
    """
    split: Plan = {}
    for name, spec in plan.items():
        if spec.sharing not in _SHARINGS:
            raise ValueError(f'sharing of {name!r} must be one of {", ".join(_SHARINGS)}, got {spec.sharing!r}')
        parts: dict[str, list[str]] = defaultdict(list)
        for layer in spec.layers:
            suffix = _suffix(spec.sharing, kernel_shape(model.get_submodule(layer)), layer)
            parts[name + suffix].append(layer)
        for part, layers in parts.items():
            if part in split:
                raise ValueError(f'two warehouses would be named {part!r}; rename {name!r}')
            split[part] = spec
            if spec.sharing != 'stage':
                absent = tuple(k for k in spec.absent if name + _suffix(spec.sharing, k, '') == part)
                ratio = spec.nonlocal_basis_ratio if len(layers) + len(absent) > 1 else 1.0
                split[part] = replace(spec, layers=tuple(layers), absent=absent, nonlocal_basis_ratio=ratio)
    return split


def _suffix(sharing: str, kernel: Sequence[int], layer: str) -> str:
    shape = 'x'.join(map(str, kernel))
    return {'stage': '', 'shape': f'_{shape}'}.get(sharing, f'_{layer.replace(".", "_")}')


def kernel_shape(layer: nn.Module) -> tuple[int, ...]:
    """Weight shape of a convolution; a Linear counts as a 1-wide 1-d convolution."""
    shape = tuple(layer.weight.shape)
    return (*shape, 1) if isinstance(layer, nn.Linear) else shape
