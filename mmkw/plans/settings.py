"""Changes settings of plans by hand, and reads budgets as users write them."""

import fnmatch
import math
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from fractions import Fraction
from typing import Any, Optional, Union

from mmkw.layers import Plan


def adjust(plan: Plan, settings: Optional[Mapping[str, Mapping[str, Any]]]) -> Plan:
    """Return a plan in which some settings of some groups, such as warehouses, are changed by hand.

    Args:
        plan: The plan. It is not changed.
        settings: Name of a group, or a pattern such as ``'*_pointwise'`` -> the fields of its spec to change, for
            example ``{'stage3': dict(budget='1/2x', cell_inplane_ratio=0.5)}``. Later entries win. None changes
            nothing.

    Raises:
        ValueError: If a name fits no group, or its spec has no such setting.
    """
    adjusted = dict(plan)
    for pattern, changes in (settings or {}).items():
        names = fnmatch.filter(adjusted, pattern)
        if not names:
            raise ValueError(f'{pattern!r} fits no warehouse; there are {", ".join(adjusted)}')
        changes = {k: parse_budget(v) if k == 'budget' else v for k, v in changes.items()}
        for name in names:
            spec: Any = adjusted[name]  # a dataclass, see mmkw.layers.Spec
            unknown = set(changes) - {field.name for field in fields(spec)}
            if unknown:
                kind = type(spec).__name__
                raise ValueError(f'{", ".join(sorted(unknown))} of {pattern!r} is no setting of a {kind}')
            adjusted[name] = replace(spec, **changes)
    return adjusted


def parse_budget(budget: Union[float, str]) -> float:
    """Read a budget: a number, or text such as ``'1x'``, ``'4x'`` or ``'1/2x'``.

    Raises:
        ValueError: If the budget is neither, or not above 0.
    """
    number: Optional[Union[float, str]] = budget
    if isinstance(budget, str):
        match = re.fullmatch(r'(\d+(?:\.\d+)?|\d+/[1-9]\d*)x?', budget.strip())
        number = float(Fraction(match.group(1))) if match else None
    if not isinstance(number, (int, float)) or not 0 < number < math.inf:
        raise ValueError(f"budget must be a number above 0 or text such as '1x', '4x' or '1/2x', got {budget!r}")
    return float(number)
