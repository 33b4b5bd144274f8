"""What a plan is: warehouses by name, each with its layers and settings."""

import fnmatch
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Any, Optional, Union


@dataclass(frozen=True)
class WarehousePlan:
    """One warehouse: the layers that share it, and how their kernels are cut and weighed.

    Args:
        layers: Names of the layers, as in ``named_modules()``.
        budget: Convolutional parameter budget b.
        cell_inplane_ratio, cell_outplane_ratio, spatial_partition, channel_partition: See :func:`mmkw.ops.cell_shape`.
        reduction, norm, nonlocal_basis_ratio: See :class:`mmkw.layers.KWAttention`.
        attention, start: See :class:`mmkw.layers.KWConvNd`.
        sharing: Who shares cells: the layers of the ``'stage'``, which are all that are listed; only those among them
            whose kernels have the same ``'shape'``; only the mixtures of one ``'layer'``; or ``'none'``, where each
            mixture has ``budget`` cells of its own. See :func:`mmkw.plans.split_by_sharing`. Default: ``'stage'``.
        absent: Kernel shapes ``(O, I / groups, *window)`` of layers that the network was built without, as a detector's
            backbone is without its last stage, and that would come after ``layers``. They count in the warehouse's
            cells and in how kernels are cut, so that the layers that are there are as in the whole network.
            Default: none.
    """

    layers: Sequence[str]
    budget: float = 1.0
    cell_inplane_ratio: float = 1.0
    cell_outplane_ratio: float = 1.0
    spatial_partition: bool = True
    channel_partition: bool = True
    reduction: float = 1 / 16
    norm: str = 'BN'
    nonlocal_basis_ratio: float = 1.0
    attention: str = 'caf'
    start: str = 'one_to_one'
    sharing: str = 'stage'
    absent: Sequence[tuple[int, ...]] = ()


Plan = dict[str, WarehousePlan]


def adjust(plan: Plan, settings: Optional[Mapping[str, Mapping[str, Any]]]) -> Plan:
    """A plan with some settings of some warehouses changed by hand.

    Args:
        plan: The plan; it stays as it is.
        settings: Warehouse name, or a pattern such as ``'*_pointwise'``, to the arguments of :class:`WarehousePlan` to
            change, for example ``{'stage3': dict(budget='1/2x', cell_inplane_ratio=0.5)}``. Later entries win.

    Raises:
        ValueError: If a name fits no warehouse, or a setting is none of a warehouse.
    """
    adjusted = dict(plan)
    for pattern, changes in (settings or {}).items():
        names = fnmatch.filter(adjusted, pattern)
        if not names:
            raise ValueError(f'{pattern!r} fits no warehouse; there are {", ".join(adjusted)}')
        unknown = set(changes) - {field.name for field in fields(WarehousePlan)}
        if unknown:
            raise ValueError(f'{", ".join(sorted(unknown))} of {pattern!r} is no setting of a warehouse')
        changes = {k: parse_budget(v) if k == 'budget' else v for k, v in changes.items()}
        adjusted.update((name, replace(adjusted[name], **changes)) for name in names)
    return adjusted


def parse_budget(budget: Union[float, str]) -> float:
    """Read a budget: a number, or text such as ``'1x'``, ``'4x'`` or ``'1/2x'``.

    Raises:
        ValueError: If it is neither, or not above 0.
    """
    number = budget
    if isinstance(budget, str):
        match = re.fullmatch(r'(\d+(?:\.\d+)?|\d+/[1-9]\d*)x?', budget.strip())
        number = float(Fraction(match.group(1))) if match else None
    if not isinstance(number, (int, float)) or not 0 < number < math.inf:
        raise ValueError(f"budget must be a number above 0 or text such as '1x', '4x' or '1/2x', got {budget!r}")
    return float(number)
