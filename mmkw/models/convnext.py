"""ConvNeXt with warehouses, on mmpretrain's."""

from collections.abc import Sequence
from typing import Any, Optional, Union

from mmengine.registry import MODELS
from mmpretrain.models.backbones import ConvNeXt

from mmkw.plans import convnext_plan

from .base import KWBackboneMixin, WarehouseCfg


@MODELS.register_module()
class KWConvNeXt(KWBackboneMixin, ConvNeXt):
    """ConvNeXt with KernelWarehouse (Li & Yao, ICML 2024): mmpretrain's, with its convolutions in warehouses.

    Args:
        arch: As in mmpretrain. Default: ``'tiny'``.
        budget: Convolutional parameter budget b, a number or text such as ``'1x'``, ``'3/4x'``. Default: ``'1x'``.
        reduction: Hidden width of the attentions over their input width. Default: 1/16.
        init_cfg: Default: None, which starts every bias at 0 and leaves the rest as the layers start it.
        warehouse_cfg: Settings of single warehouses by hand, see :func:`mmkw.plans.adjust`. Default: None.
        **kwargs: The ablation switches of :class:`KWBackboneMixin`, and any other argument of mmpretrain's ConvNeXt but
            ``linear_pw_conv``: pointwise layers are 1x1 convolutions here, as published.
    """

    def __init__(
        self,
        arch: Union[str, dict] = 'tiny',
        budget: Union[float, str] = '1x',
        reduction: float = 1 / 16,
        init_cfg: Optional[Union[dict, Sequence[dict]]] = None,
        warehouse_cfg: WarehouseCfg = None,
        **kwargs: Any,
    ) -> None:
        if init_cfg is None:
            # mmpretrain's default would also fill the attentions' Linear layers.
            init_cfg = dict(type='Constant', layer=['KWConv2d', 'LayerNorm'], val=1, bias=0)
        super().__init__(arch, linear_pw_conv=False, init_cfg=init_cfg, **kwargs)
        self._move_into_warehouses(convnext_plan(self, budget, reduction), warehouse_cfg)
