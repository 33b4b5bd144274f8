"""Any registered backbone with some of its layers replaced by dynamic ones."""

from collections.abc import Mapping
from typing import Any, Optional, Union

from mmengine.registry import MODELS
from torch import nn

from mmkw.config import InitCfg, init_entries
from mmkw.layers.mixed import mixed

from .base import ConvertedMixin, plan_of
from .kernel_warehouse import WarehouseCfg


@MODELS.register_module(name='ConvertedBackbone')
def converted_backbone(
    backbone: Mapping[str, Any],
    method: Mapping[str, Any],
    init_cfg: InitCfg = None,
    attention_extent: str = 'input',
) -> nn.Module:
    """Build any registered backbone with a method of dynamic convolution in it.

    The result is the backbone itself (its class extended), with its own names, outputs and switches.

    Example:
        >>> backbone = dict(
        ...     type='ConvertedBackbone',
        ...     backbone=dict(type='PlainResNet', depth=18),
        ...     method=dict(type='KernelWarehouse', plan='resnet', budget='4x'),
        ... )

    Args:
        backbone: Config of the plain backbone, such as ``dict(type='mmpretrain.RegNet', arch='regnetx_800mf')``. Its
            ``init_cfg`` may not load a checkpoint; what it initialises randomly, it does as ever, but for dynamic
            layers.
        method: ``type``, a registered name of :mod:`mmkw.plans.methods`, and the method's arguments.
        init_cfg: A checkpoint to start from, such as ``dict(type='PlainPretrained', checkpoint=...)``. Default: None.
        attention_extent: What attention pools over: ``'input'``, all positions of the padded input, as in the published
            models, or ``'picture'``, those of each picture alone, by ``img_shape`` of its data sample. Then what is
            computed for a picture depends no more on the pictures of its batch than in the plain network. Layers
            refuse a pass whose pictures are unknown. Default: ``'input'``.

    Raises:
        ValueError: If the backbone or the method is unknown, the backbone's own ``init_cfg`` loads a checkpoint, or
            ``attention_extent`` is neither, or ``'picture'`` in a backbone whose dynamic layers see no maps.
    """
    cfg = dict(backbone)
    with MODELS.switch_scope_and_registry(cfg.pop('_scope_', None)) as registry:
        name = cfg.pop('type')
        plain = name if isinstance(name, type) else registry.get(name)
        if plain is None:
            raise ValueError(f'no backbone is registered as {name!r}; write its library too, as in mmpretrain.RegNet')
        model = mixed(ConvertedMixin, plain, f'Converted{plain.__name__}')(**cfg)
    entries = init_entries(getattr(model, 'init_cfg', None))
    if any('checkpoint' in entry for entry in entries):
        raise ValueError(
            f'the init_cfg of {name!r} loads a checkpoint of the plain network; give '
            "init_cfg=dict(type='PlainPretrained', checkpoint=...) beside `backbone` instead, which moves its kernels"
        )
    model._convert(plan_of(model, method), attention_extent)
    model.init_cfg = [*entries, *init_entries(init_cfg)]
    return model


@MODELS.register_module(name='KWBackbone')
def kw_backbone(
    backbone: Mapping[str, Any],
    budget: Union[float, str] = '1x',
    plan: str = 'auto',
    init_cfg: InitCfg = None,
    warehouse_cfg: WarehouseCfg = None,
    plan_cfg: Optional[Mapping[str, Any]] = None,
    attention_extent: str = 'input',
    **switches: Any,
) -> nn.Module:
    """Build any registered backbone with its layers in warehouses: ``dict(type='KWBackbone', backbone=dict(...))``.

    The short form of :func:`converted_backbone` with ``method=dict(type='KernelWarehouse', ...)``.

    Args:
        backbone, init_cfg, attention_extent: See :func:`converted_backbone`.
        budget, plan, warehouse_cfg, plan_cfg, **switches: See :func:`mmkw.plans.methods.kernel_warehouse`.
    """
    method = dict(budget=budget, plan=plan, warehouse_cfg=warehouse_cfg, plan_cfg=plan_cfg, **switches)
    return converted_backbone(backbone, dict(type='KernelWarehouse', **method), init_cfg, attention_extent)
