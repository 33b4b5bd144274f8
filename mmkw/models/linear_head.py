"""Classifiers whose weight depends on the features, and the plain one with dropout."""

from collections.abc import Mapping
from typing import Any, Union

from mmengine.registry import MODELS
from mmpretrain.models.heads import LinearClsHead
from torch import Tensor, nn

from mmkw.conversion import convert

from .base import plan_of


@MODELS.register_module()
class ConvertedLinearClsHead(LinearClsHead):
    """mmpretrain's linear classifier with a method of dynamic convolution in the place of its linear layer.

    Example:
        >>> head = dict(type='ConvertedLinearClsHead', num_classes=1000, in_channels=512, method=dict(type='CondConv'))

    Args:
        num_classes, in_channels: As in mmpretrain.
        method: ``type``, a registered name of :mod:`mmkw.plans.methods`, and the method's arguments.
        **kwargs: Any other argument of mmpretrain's LinearClsHead.

    Raises:
        ValueError: If there is no such method, or it has no place in a classifier.
    """

    def __init__(self, num_classes: int, in_channels: int, method: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        convert(self, plan_of(self, method))


@MODELS.register_module()
class KWLinearClsHead(ConvertedLinearClsHead):
    """The linear classifier as a KWLinear with a warehouse of its own (published for MobileNetV2 at b = 1/2).

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
        method = dict(
            type='KernelWarehouse',
            plan='classifier',
            budget=budget,
            cell_inplane_ratio=cell_inplane_ratio,
            cell_outplane_ratio=cell_outplane_ratio,
            reduction=reduction,
        )
        super().__init__(num_classes, in_channels, method, **kwargs)


@MODELS.register_module()
class DropoutLinearClsHead(LinearClsHead):
    """mmpretrain's linear classifier, which has no dropout, with dropout of the features (ODConv's release: 0.2).

    Args:
        num_classes, in_channels: As in mmpretrain.
        dropout: Probability that a feature is 0 in training.
        **kwargs: Any other argument of mmpretrain's LinearClsHead.

    Raises:
        ValueError: If ``dropout`` is no probability.
    """

    def __init__(self, num_classes: int, in_channels: int, dropout: float, **kwargs: Any) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        self.dropout = nn.Dropout(dropout)

    def pre_logits(self, feats: tuple[Tensor]) -> Tensor:
        """The features ``(B, in_channels)`` that the linear layer sees."""
        return self.dropout(super().pre_logits(feats))
