"""Published checkpoints in ``init_cfg``."""

from mmengine.logging import MMLogger
from mmengine.model.weight_init import update_init_info
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import nn

from .published import published_to_mmkw, read_published


@WEIGHT_INITIALIZERS.register_module()
class PublishedPretrained:
    """Fill a backbone from a published checkpoint: ``init_cfg=dict(type='PublishedPretrained', checkpoint=...)``.

    Args:
        checkpoint: Path of the published file, as downloaded.
        ema: Take the averaged weights. Default: False.

    Raises:
        FileNotFoundError, ValueError: See :func:`read_published` and :func:`published_to_mmkw`.
    """

    def __init__(self, checkpoint: str, ema: bool = False) -> None:
        self.checkpoint, self.ema = checkpoint, ema

    def __call__(self, module: nn.Module) -> None:
        prefix = 'backbone.'
        renamed = published_to_mmkw(read_published(self.checkpoint, self.ema), module)
        own = {key[len(prefix) :]: value for key, value in renamed.items() if key.startswith(prefix)}
        missing, _ = module.load_state_dict(own, strict=False)
        for child in module.modules():
            # mmengine lets children initialise themselves after their parent; here that would undo the loading.
            if child is not module and hasattr(child, 'init_weights'):
                child.is_init = True
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=f'published checkpoint {self.checkpoint}')
        left = f', but for {", ".join(missing)}' if missing else ''
        MMLogger.get_current_instance().info(f'loaded the published checkpoint {self.checkpoint}{left}')

    def __repr__(self) -> str:
        return f'{type(self).__name__}(checkpoint={self.checkpoint!r}, ema={self.ema})'
