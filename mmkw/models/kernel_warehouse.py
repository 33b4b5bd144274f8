"""Gives the KW backbones, which are short forms of a ConvertedBackbone, what they have in common."""

from collections.abc import Mapping
from typing import Any, Optional

from torch import nn

from mmkw.layers import Plan
from mmkw.plans import adjust

from .base import ConvertedMixin

WarehouseCfg = Optional[Mapping[str, Mapping[str, Any]]]


class KWBackboneMixin(ConvertedMixin):
    """What the KW backbones share: the switches of the paper's ablations, as arguments.

    They hold for all warehouses of the backbone; ``warehouse_cfg`` sets them for single ones.

    Args:
        attention: Attention function: ``'caf'``, or ``'softmax'`` or ``'sigmoid'`` as in earlier dynamic convolutions.
        start: Start assignment: ``'one_to_one'``, ``'several_to_one'``, ``'all_to_one'`` or ``'none'``.
        attention_init: How attentions start: ``'random'``, or as the start assignment, ``'start'``.
        sharing: Who shares a warehouse: ``'stage'``, ``'shape'``, ``'layer'`` or ``'none'``.
        attention_extent: What attention pools over, see :func:`mmkw.models.converted_backbone`. Default: ``'input'``.
        spatial_partition, channel_partition: Whether kernels are cut into cells along these axes. Layers that differ
            where they are not cut cannot share a warehouse: use ``sharing='shape'`` or ``'layer'`` with them.

    The others default to None, which leaves the choice to the plan; for the published models it is ``'caf'``,
    ``'one_to_one'``, ``'random'``, ``'stage'``, True and True. See :class:`mmkw.plans.WarehousePlan`.
    """

    def __init__(
        self,
        *args: Any,
        attention: Optional[str] = None,
        start: Optional[str] = None,
        attention_init: Optional[str] = None,
        sharing: Optional[str] = None,
        spatial_partition: Optional[bool] = None,
        channel_partition: Optional[bool] = None,
        attention_extent: str = 'input',
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._attention_extent = attention_extent
        switches = dict(
            attention=attention,
            start=start,
            attention_init=attention_init,
            sharing=sharing,
            spatial_partition=spatial_partition,
            channel_partition=channel_partition,
        )
        self._switches = {name: value for name, value in switches.items() if value is not None}

    def _move_into_warehouses(self: nn.Module, plan: Plan, warehouse_cfg: WarehouseCfg = None) -> None:
        self._convert(adjust(adjust(plan, {'*': self._switches}), warehouse_cfg), self._attention_extent)


# These arguments exist in mmdet's backbones but not in mmpretrain's.
_MMDETS = ('dcn', 'stage_with_dcn', 'plugins', 'pretrained')


def without_mmdets(kind: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Drop arguments that only mmdet's class has, for mmpretrain's class of the same name.

    Args:
        kind: Name of the class in both libraries, such as ``'ResNet'``.
        arguments: What the config passes, which may have been written for mmdet. An argument that only mmdet has is
            dropped if it switches nothing on, such as None or False.

    Returns:
        The other arguments.

    Raises:
        ValueError: If an argument that only mmdet has switches something on.
    """
    for name in _MMDETS:
        value = arguments.get(name)
        if name == 'pretrained' and value:
            raise ValueError(
                f'KW{kind} has no pretrained={value!r}; give it '
                f"init_cfg=dict(type='PlainPretrained', checkpoint={value!r})"
            )
        if any(value or ()):
            raise ValueError(
                f"KW{kind} is mmpretrain's {kind}, which has no {name}; for mmdet's use dict(type='KWBackbone', "
                f"backbone=dict(type='mmdet.{kind}', ...)), which leaves plain what cannot be moved into a warehouse"
            )
    return {name: value for name, value in arguments.items() if name not in _MMDETS}
