"""KernelWarehouse in a backbone that has no KW class."""

from collections.abc import Mapping
from typing import Any, Optional, Union

from mmengine.logging import MMLogger
from mmengine.registry import MODELS
from torch import nn

from mmkw.plans import auto_plan, vit_plan

from .base import InitCfg, KWBackboneMixin, WarehouseCfg, init_entries


@MODELS.register_module(name='KWBackbone')
def kw_backbone(
    backbone: Mapping[str, Any],
    budget: Union[float, str] = '1x',
    plan: str = 'auto',
    init_cfg: InitCfg = None,
    warehouse_cfg: WarehouseCfg = None,
    plan_cfg: Optional[Mapping[str, Any]] = None,
    **switches: Any,
) -> nn.Module:
    """Build any registered backbone with its layers in warehouses: ``dict(type='KWBackbone', backbone=dict(...))``.

    The result is the backbone itself (its class extended), with its own names, outputs and switches.

    Args:
        backbone: Config of the plain backbone, such as ``dict(type='mmpretrain.RegNet', arch='regnetx_800mf')``. Its
            ``init_cfg`` may not load a checkpoint; what it initialises randomly, it does as ever, but for KW layers.
        budget: Convolutional parameter budget b, a number or text such as ``'1x'``, ``'4x'``. Default: ``'1x'``.
        plan: ``'auto'`` (:func:`mmkw.plans.auto_plan`, whose table is logged) or ``'vit'``
            (:func:`mmkw.plans.vit_plan`). Default: ``'auto'``.
        init_cfg: A checkpoint to start from, such as ``dict(type='PlainPretrained', checkpoint=...)``. Default: None.
        warehouse_cfg: Settings of single warehouses by hand, see :func:`mmkw.plans.adjust`. Default: None.
        plan_cfg: Further arguments of the plan, such as ``dict(skip=['*.se.*'])``. Default: None.
        **switches: The ablation switches of :class:`KWBackboneMixin`.

    Raises:
        ValueError: If the plan is unknown, or the backbone's own ``init_cfg`` loads a checkpoint.
    """
    plans = dict(auto=auto_plan, vit=vit_plan)
    if plan not in plans:
        raise ValueError(f'plan must be one of {", ".join(plans)}, got {plan!r}')
    cfg = dict(backbone)
    with MODELS.switch_scope_and_registry(cfg.pop('_scope_', None)) as registry:
        name = cfg.pop('type')
        plain = name if isinstance(name, type) else registry.get(name)
        if plain is None:
            raise ValueError(
                f'KWBackbone: no backbone is registered as {name!r}; write its library, as mmpretrain.RegNet'
            )
        model = type(f'KW{plain.__name__}', (KWBackboneMixin, plain), {'__module__': __name__})(**cfg, **switches)
    entries = init_entries(getattr(model, 'init_cfg', None))
    if any('checkpoint' in entry for entry in entries):
        raise ValueError(
            f'KWBackbone: the init_cfg of {name!r} loads a checkpoint of the plain network; give KWBackbone '
            "init_cfg=dict(type='PlainPretrained', checkpoint=...) instead, which moves its kernels into warehouses"
        )
    settings = dict(plan_cfg or {})
    if plan == 'auto':
        settings['log'] = MMLogger.get_current_instance().info
    model._move_into_warehouses(plans[plan](model, budget, **settings), warehouse_cfg)
    model.init_cfg = [*entries, *init_entries(init_cfg)]
    return model
