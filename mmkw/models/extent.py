"""Tells a backbone whose attention pools over each picture's own extent how large the pictures of a batch are."""

from collections.abc import Sequence
from typing import Any, Optional

from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.nn.modules.module import register_module_module_registration_hook

from mmkw.layers import known_pictures, pictures_in, pools_over_pictures
from mmkw.layers.mixed import mixed


class TellsPictures:
    """Makes a class of detectors or classifiers one that tells its backbone the ``img_shape`` of the data samples."""

    def forward(self: Any, inputs: Tensor, data_samples: Optional[Sequence[Any]] = None, mode: str = 'tensor') -> Any:
        """As the plain class's."""
        with known_pictures(self.backbone, pictures_in(inputs, data_samples)):
            return super().forward(inputs, data_samples, mode)  # type: ignore[misc]


def _tell(holder: nn.Module, name: str, child: Optional[nn.Module]) -> None:
    """Let a model that is given such a backbone tell it; the backbone itself sees pixels alone."""
    if name != 'backbone' or not isinstance(holder, BaseModel) or isinstance(holder, TellsPictures):
        return
    if child is not None and pools_over_pictures(child):
        holder.__class__ = mixed(TellsPictures, type(holder), type(holder).__name__)


register_module_module_registration_hook(_tell)
