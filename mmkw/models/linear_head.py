"""A classifier whose weight is mixed from a warehouse."""

from collections.abc import Sequence
from typing import Any, Optional, Union

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
        init_cfg: Default: None, which starts the bias at 0 and leaves the rest as the layer starts it.
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
        init_cfg: Optional[Union[dict, Sequence[dict]]] = None,
        **kwargs: Any,
    ) -> None:
        if init_cfg is None:
            # mmpretrain's default would also fill the attention's Linear layers.
            init_cfg = dict(type='Constant', layer='KWLinear', val=0, bias=0)
        super().__init__(num_classes, in_channels, init_cfg=init_cfg, **kwargs)
        plan = WarehousePlan(['fc'], parse_budget(budget), cell_inplane_ratio, cell_outplane_ratio, reduction=reduction)
        convert(self, {'classifier': plan})
