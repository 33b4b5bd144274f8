"""Registers plans and methods by name, so that a config can ask for one."""

from collections.abc import Callable
from typing import Any, Optional, TypeVar

from torch import nn

from mmkw.layers import Plan

PLANS: dict[str, Callable[..., Plan]] = {}
METHODS: dict[str, Callable[..., Plan]] = {}
Function = TypeVar('Function', bound=Callable[..., Plan])


def register_plan(name: str) -> Callable[[Function], Function]:
    """Decorator: let configs ask for a plan of warehouses by name, as ``dict(type='KWBackbone', plan=name, ...)``.

    Args:
        name: The name. An earlier plan of this name is replaced.

    The function is called with the plain network, the budget, and what the config has under ``plan_cfg``.
    """
    return _register(PLANS, name)


def register_method(name: str) -> Callable[[Function], Function]:
    """Decorator: let configs ask for a method by name, as ``dict(type='ConvertedBackbone', method=dict(type=name))``.

    Args:
        name: The name. An earlier method of this name is replaced.

    The function is called with the plain network and with what else the config has under ``method``. It returns a plan,
    which says what becomes of which layers.
    """
    return _register(METHODS, name)


def _register(registry: dict[str, Callable[..., Plan]], name: str) -> Callable[[Function], Function]:
    def register(function: Function) -> Function:
        registry[name] = function
        return function

    return register


def plan_named(name: str) -> Callable[..., Plan]:
    """Return the plan function of this name.

    Raises:
        ValueError: If there is none.
    """
    if name not in PLANS:
        raise ValueError(f'plan must be one of {", ".join(PLANS)}, got {name!r}; mmkw.plans.register_plan adds one')
    return PLANS[name]


def method_plan(network: nn.Module, method: Optional[str], **settings: Any) -> Plan:
    """Make the plan that says what becomes of the layers of a network under a method.

    Args:
        network: The plain network.
        method: Registered name of the method.
        **settings: The method's arguments.

    Raises:
        ValueError: If there is no such method, or it cannot be used in this network.
    """
    if method not in METHODS:
        raise ValueError(f'the method must be one of {", ".join(METHODS)}, got {method!r}')
    return METHODS[method](network, **settings)
