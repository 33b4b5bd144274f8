"""Initialisers for ``init_cfg`` that load published and plain checkpoints."""

from mmengine.logging import MMLogger
from mmengine.model.weight_init import update_init_info
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import nn

from .plain import check_plain, read_plain, warm_start_from_plain
from .published import published_to_mmkw, read_published


@WEIGHT_INITIALIZERS.register_module()
class PublishedPretrained:
    """Fill a backbone from a published checkpoint: ``init_cfg=dict(type='PublishedPretrained', checkpoint=...)``.

    Args:
        checkpoint: Path of the published file, as downloaded.
        ema: Whether to take the averaged weights. Default: False.

    Raises:
        FileNotFoundError, ValueError: See :func:`read_published` and :func:`published_to_mmkw`.
    """

    def __init__(self, checkpoint: str, ema: bool = False) -> None:
        self.checkpoint, self.ema = checkpoint, ema

    def check(self, module: nn.Module) -> None:
        """Raise the errors that filling the module would raise, and change nothing."""
        published_to_mmkw(read_published(self.checkpoint, self.ema), module)

    def __call__(self, module: nn.Module) -> None:
        prefix = 'backbone.'
        renamed = published_to_mmkw(read_published(self.checkpoint, self.ema), module)
        own = {key[len(prefix) :]: value for key, value in renamed.items() if key.startswith(prefix)}
        missing, _ = module.load_state_dict(own, strict=False)
        _prevent_reinitialisation(module, f'published checkpoint {self.checkpoint}')
        left = f', but for {", ".join(missing)}' if missing else ''
        MMLogger.get_current_instance().info(f'loaded the published checkpoint {self.checkpoint}{left}')

    def __repr__(self) -> str:
        return f'{type(self).__name__}(checkpoint={self.checkpoint!r}, ema={self.ema})'


@WEIGHT_INITIALIZERS.register_module()
class PlainPretrained:
    """Start a dynamic backbone from a plain network: ``init_cfg=dict(type='PlainPretrained', checkpoint=...)``.

    The backbone then computes what the plain one does, for KernelWarehouse at temperature 1 and budget b >= 1; for
    b < 1 the error of the kernels is logged. See :func:`mmkw.conversion.warm_start`. Each layer that has a
    temperature gets the one at which its schedule starts (1 in KernelWarehouse, 30 in ODConv and DY-Conv): train with
    a ``TemperatureHook`` that lowers it, or the attentions are hardly used, those of KernelWarehouse not at all.

    Args:
        checkpoint: A file of torchvision, mmpretrain or mmdet (classifier, detector or backbone alone),
            ``torchvision://NAME`` such as ``torchvision://resnet50``, or ``https://...``.

    Raises:
        FileNotFoundError, ValueError: See :func:`read_plain` and :func:`warm_start_from_plain`.
    """

    def __init__(self, checkpoint: str) -> None:
        self.checkpoint = checkpoint

    def check(self, module: nn.Module) -> None:
        """Raise the errors that filling the module would raise, and change nothing."""
        check_plain(module, read_plain(self.checkpoint), self.checkpoint)

    def __call__(self, module: nn.Module) -> None:
        warm_start_from_plain(module, read_plain(self.checkpoint), self.checkpoint)
        _prevent_reinitialisation(module, f'plain checkpoint {self.checkpoint}')

    def __repr__(self) -> str:
        return f'{type(self).__name__}(checkpoint={self.checkpoint!r})'


def _prevent_reinitialisation(module: nn.Module, source: str) -> None:
    """Prevent mmengine from letting children initialise themselves after their parent, which would undo the loading."""
    for child in module.modules():
        if child is not module and hasattr(child, 'init_weights'):
            child.is_init = True
    if hasattr(module, '_params_init_info'):
        update_init_info(module, init_info=source)
