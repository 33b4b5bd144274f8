"""ConvNeXt with warehouses, built on mmpretrain's ConvNeXt."""

from typing import Any, Union

from mmengine.registry import MODELS
from mmpretrain.models.backbones import ConvNeXt

from mmkw.plans import convnext_plan

from .kernel_warehouse import KWBackboneMixin, WarehouseCfg


@MODELS.register_module()
class KWConvNeXt(KWBackboneMixin, ConvNeXt):
    """ConvNeXt with KernelWarehouse (Li & Yao, ICML 2024): mmpretrain's, with its convolutions in warehouses.

    Args:
        arch: mmpretrain's name of the architecture, or a dict of it. Default: ``'tiny'``.
        budget: Convolutional parameter budget b, a number or text such as ``'1x'``, ``'3/4x'``. Default: ``'1x'``.
        reduction: Hidden width of the attentions over their input width. Default: 1/16.
        warehouse_cfg: Settings of single warehouses by hand, see :func:`mmkw.plans.adjust`. Default: None.
        linear_pw_conv: Must be False, since pointwise layers are 1x1 convolutions here, as published. Default: False.
        **kwargs: The ablation switches of :class:`KWBackboneMixin`, and any other argument of mmpretrain's ConvNeXt.

    Raises:
        ValueError: If ``linear_pw_conv`` is True.
    """

    def __init__(
        self,
        arch: Union[str, dict] = 'tiny',
        budget: Union[float, str] = '1x',
        reduction: float = 1 / 16,
        warehouse_cfg: WarehouseCfg = None,
        linear_pw_conv: bool = False,
        **kwargs: Any,
    ) -> None:
        if linear_pw_conv:
            raise ValueError(
                'linear_pw_conv=True: pointwise layers of KWConvNeXt are 1x1 convolutions, as published; leave it out, '
                "or use dict(type='KWBackbone', backbone=dict(type='mmpretrain.ConvNeXt', ...))"
            )
        super().__init__(arch, linear_pw_conv=False, **kwargs)
        self._move_into_warehouses(convnext_plan(self, budget, reduction), warehouse_cfg)
