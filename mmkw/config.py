"""Reading configs of both styles: ``type`` is a name or, in a pure-Python config, the class itself."""

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

_LIBRARIES = ('mmdet', 'mmpretrain')


def type_name(entry: Any) -> str:
    """Name of the class that an entry of a config is for, without scope or module; ``''`` if it names none.

    Args:
        entry: Such as ``dict(type='mmkw.KWTemperatureHook', end=4)`` or ``dict(type=KWTemperatureHook, end=4)``.
    """
    kind = entry.get('type') if isinstance(entry, Mapping) else None
    return '' if kind is None else getattr(kind, '__name__', str(kind)).rpartition('.')[2]


def scope_of(cfg: Config) -> str:
    """Name of the library whose names a config uses: its ``default_scope``, or else that of its model's class."""
    if cfg.get('default_scope'):
        return cfg.default_scope
    kind = (cfg.get('model') or {}).get('type')
    modules = [kind] if isinstance(kind, str) else [cls.__module__ for cls in getattr(kind, '__mro__', ())]
    roots = [module.partition('.')[0] for module in modules]
    return next((root for root in roots if root in _LIBRARIES), 'mmengine')
