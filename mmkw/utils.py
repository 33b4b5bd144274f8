"""What mmengine expects of a library under this name, to build its models by ``mmengine.hub.get_model``."""

from importlib import import_module
from importlib.util import find_spec


def register_all_modules(init_default_scope: bool = True) -> None:
    """Register the classes that mmkw's configs name: mmkw's own, and those of mmdet and mmpretrain, if installed.

    Args:
        init_default_scope: For its callers. It does nothing, since mmkw's configs name their scope. Default: True.
    """
    import_module('mmkw')
    for library in ('mmdet', 'mmpretrain'):
        if find_spec(library) is not None:
            import_module(f'{library}.utils').register_all_modules(init_default_scope=False)
