"""MobileNetV2 with warehouses, built on mmpretrain's MobileNetV2."""

from typing import Any, Optional, Union

from mmengine.registry import MODELS
from mmpretrain.models.backbones import MobileNetV2

from mmkw.plans import mobilenet_v2_plan

from .kernel_warehouse import KWBackboneMixin, WarehouseCfg, without_mmdets


@MODELS.register_module()
class KWMobileNetV2(KWBackboneMixin, MobileNetV2):
    """MobileNetV2 with KernelWarehouse (Li & Yao, ICML 2024): mmpretrain's, with its convolutions in warehouses.

    Args:
        budget: Convolutional parameter budget b, a number or text such as ``'1x'``, ``'4x'``, ``'1/2x'``.
            Default: ``'1x'``.
        widen_factor: Width multiplier. Default: 1.
        reduction, share_pointwise: See :func:`mmkw.plans.mobilenet_v2_plan`. Default: None, the budget selects them.
        warehouse_cfg: Settings of single warehouses by hand, see :func:`mmkw.plans.adjust`. Default: None.
        **kwargs: The ablation switches of :class:`KWBackboneMixin`, and any other argument of mmpretrain's
            MobileNetV2. A detector's FPN takes ``out_indices=(1, 2, 4, 7)``.

    Raises:
        ValueError: If ``pretrained`` names a file, which only mmdet's MobileNetV2 takes.
    """

    def __init__(
        self,
        budget: Union[float, str] = '1x',
        widen_factor: float = 1.0,
        reduction: Optional[float] = None,
        share_pointwise: Optional[bool] = None,
        warehouse_cfg: WarehouseCfg = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(widen_factor, **without_mmdets('MobileNetV2', kwargs))
        self._move_into_warehouses(mobilenet_v2_plan(self, budget, reduction, share_pointwise), warehouse_cfg)
