"""Where each method acts in a network."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Optional, Union

from torch import nn

from mmkw.layers import Plan

from .registry import plan_named, register_method
from .settings import adjust


@register_method('KernelWarehouse')
def kernel_warehouse(
    network: nn.Module,
    budget: Union[float, str] = '1x',
    plan: str = 'auto',
    plan_cfg: Optional[Mapping[str, Any]] = None,
    warehouse_cfg: Optional[Mapping[str, Mapping[str, Any]]] = None,
    log: Callable[[str], None] = print,
    **switches: Any,
) -> Plan:
    """KernelWarehouse (Li & Yao, ICML 2024): warehouses that the layers of a stage share.

    Args:
        network: The plain network.
        budget: Convolutional parameter budget b, a number or text such as ``'1x'``, ``'4x'``. Default: ``'1x'``.
        plan: Registered name of the plan: ``'auto'``, ``'resnet'``, ``'mobilenet_v2'``, ``'convnext'``, ``'vit'``,
            ``'classifier'`` or what :func:`mmkw.plans.register_plan` added. Default: ``'auto'``.
        plan_cfg: Further arguments of the plan, such as ``dict(skip=['*.se.*'])``. Default: None.
        warehouse_cfg: Settings of single warehouses by hand, see :func:`mmkw.plans.adjust`. Default: None.
        log: Called with the table of an automatic plan. Default: print.
        **switches: Fields of :class:`mmkw.layers.WarehousePlan`, such as the switches of the paper's ablations, for all
            warehouses; None is as the plan says.
    """
    function = plan_named(plan)
    settings = dict(plan_cfg or {})
    if 'log' in inspect.signature(function).parameters:
        settings.setdefault('log', log)
    given = {name: value for name, value in switches.items() if value is not None}
    return adjust(adjust(function(network, budget, **settings), {'*': given}), warehouse_cfg)
