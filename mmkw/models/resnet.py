"""ResNet backbones, plain and with warehouses: mmpretrain's ResNet with the stochastic depth of the recipes."""

from typing import Any, Optional, Union

from mmcv.cnn.bricks import DropPath
from mmengine.registry import MODELS
from mmpretrain.models.backbones import ResNet

from mmkw.plans import resnet_plan

from .kernel_warehouse import KWBackboneMixin, WarehouseCfg, without_mmdets


@MODELS.register_module()
class PlainResNet(ResNet):
    """mmpretrain's ResNet with the conventions of the published recipes, for comparison with KWResNet.

    Every residual block has the same stochastic depth rate (mmpretrain's ResNet increases it with depth), and all norm
    weights start at 1.

    Args:
        depth: 18, 34, 50, 101 or 152.
        drop_path_rate: Stochastic depth rate of every block. Default: 0.
        zero_init_residual: Whether the last norm weight of each block starts at 0. Default: False.
        **kwargs: Any other argument of mmpretrain's ResNet.

    Raises:
        ValueError: If the depth is unknown.
    """

    def __init__(
        self, depth: int, drop_path_rate: float = 0.0, zero_init_residual: bool = False, **kwargs: Any
    ) -> None:
        if depth not in self.arch_settings:
            raise ValueError(f'depth must be one of {sorted(self.arch_settings)}, got {depth!r}')
        super().__init__(depth, zero_init_residual=zero_init_residual, **kwargs)
        if drop_path_rate:
            for layer_name in self.res_layers:
                for block in getattr(self, layer_name):
                    block.drop_path = DropPath(drop_path_rate)


@MODELS.register_module()
class KWResNet(KWBackboneMixin, PlainResNet):
    """ResNet with KernelWarehouse (Li & Yao, ICML 2024): mmpretrain's ResNet whose convolutions live in warehouses.

    Args:
        depth: 18, 34, 50, 101 or 152.
        budget: Convolutional parameter budget b, a number or text such as ``'1x'``, ``'4x'``, ``'1/2x'``. Below 1 it
            also selects cells of half the width and, for depths 50 and above, the basis form. Default: ``'1x'``.
        cell_inplane_ratio, cell_outplane_ratio, nonlocal_basis_ratio: See :func:`mmkw.plans.resnet_plan`. Default:
            None, the budget selects them.
        reduction: Hidden width of the attentions over their input width. Default: 1/16.
        warehouse_cfg: Settings of single warehouses by hand, see :func:`mmkw.plans.adjust`. Default: None.
        **kwargs: The ablation switches of :class:`KWBackboneMixin`, and any other argument of :class:`PlainResNet`.

    A warehouse that a frozen stage shares with a later stage stays trainable. The temperature is 0 until
    :func:`mmkw.set_temperature` sets it. With ``num_stages`` below 4, as in C4 detectors, it is the whole network with
    its last stages left out: the last warehouse has the cells that the next stage would bring, and checkpoints of the
    whole network fit.

    Raises:
        ValueError: If the depth is unknown, or an argument asks for what only mmdet's ResNet has, such as ``dcn``.
    """

    def __init__(
        self,
        depth: int,
        budget: Union[float, str] = '1x',
        cell_inplane_ratio: Optional[float] = None,
        cell_outplane_ratio: Optional[float] = None,
        reduction: float = 1 / 16,
        nonlocal_basis_ratio: Optional[float] = None,
        warehouse_cfg: WarehouseCfg = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(depth, **without_mmdets('ResNet', kwargs))
        self._move_into_warehouses(
            resnet_plan(self, budget, cell_inplane_ratio, cell_outplane_ratio, reduction, nonlocal_basis_ratio),
            warehouse_cfg,
        )
