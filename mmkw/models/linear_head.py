"""A classifier whose weight is mixed from a warehouse."""

from typing import Any, Union

from mmengine.registry import MODELS
from mmpretrain.models.heads import LinearClsHead

from mmkw.plans import WarehousePlan, convert, parse_budget


@MODELS.register_module()
class KWLinearClsHead(LinearClsHead):
    """mmpretrain's linear classifier as a KWLinear with a warehouse of its own (published for MobileNetV2 at b = 1/2).

    Args:
        num_classes, in_channels: As in mmpretrain.
        budget: Default: ``'1/2x'``.
        cell_inplane_ratio, cell_outplane_ratio: Default: 0.025 and 1: cells of 1000 x 32 for 1280 features.
        reduction: Hidden width of the attention over its input width. Default: 1/32.
        **kwargs: Any other argument of mmpretrain's LinearClsHead.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        budget: Union[float, str] = '1/2x',
        cell_inplane_ratio: float = 0.025,
        cell_outplane_ratio: float = 1.0,
        reduction: float = 1 / 32,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        plan = WarehousePlan(['fc'], parse_budget(budget), cell_inplane_ratio, cell_outplane_ratio, reduction=reduction)
        convert(self, {'classifier': plan})
