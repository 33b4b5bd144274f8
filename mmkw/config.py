"""Reads configs of both styles: ``type`` is a name or, in a pure-Python config, the class itself."""

import difflib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, Union

from mmengine.config import Config

InitCfg = Optional[Union[Mapping, Sequence[Mapping]]]

_LIBRARIES = ('mmdet', 'mmpretrain')
_PREFIX = 'mmkw::'
_HERE = Path(__file__).parent


class LaunchError(Exception):
    """A run cannot start as asked; the message is for the user and says what to change."""


def config_file(name: str) -> str:
    """Path of a config that comes with mmkw, in the installed package or in the checkout.

    Args:
        name: Such as ``'mmkw::coco/mask_rcnn_kw_r50_1x_coco.py'`` or ``'imagenet/kw1x_r18_in1k.py'``, with or without
            the prefix. In a checkout, the configs of ``coco/`` are those at the root of ``configs/``.

    Raises:
        FileNotFoundError: If mmkw has no such config.
    """
    relative = name.removeprefix(_PREFIX)
    packaged = _HERE / '.mim' / 'configs'
    root = packaged if packaged.is_dir() else _HERE.parent / 'configs'
    path = root / (relative if root == packaged else relative.removeprefix('coco/'))
    if not path.is_file():
        names = {other.stem: other for other in root.rglob('*.py') if '_base_' not in other.parts}
        close = difflib.get_close_matches(Path(relative).stem, names)
        hint = f'; did you mean {" or ".join(_name(names[stem], root) for stem in close)}?' if close else ''
        raise FileNotFoundError(f'mmkw has no config {relative!r} in {root}{hint}')
    return str(path)


def _name(path: Path, root: Path) -> str:
    relative = path.relative_to(root)
    return _PREFIX + (relative if len(relative.parts) > 1 else 'coco' / relative).as_posix()


def read_config(path: Union[str, Path], options: Optional[Mapping[str, Any]] = None) -> Config:
    """Read a config of either style.

    Args:
        path: The file, or a name such as ``'mmkw::coco/mask_rcnn_kw_r50_1x_coco.py'``.
        options: Settings to change, by dotted names, such as ``{'train_cfg.max_epochs': 2}``. Default: None.

    Raises:
        LaunchError: If there is no such file.
    """
    if str(path).startswith(_PREFIX):
        try:
            path = config_file(str(path))
        except FileNotFoundError as error:
            raise LaunchError(str(error)) from error
    if not os.path.isfile(path):
        raise LaunchError(f'there is no config {path} (in {os.getcwd()})')
    cfg = Config.fromfile(path)
    cfg.merge_from_dict(dict(options or {}))
    cfg.default_scope = scope_of(cfg)  # pure-Python configs have none
    return cfg


def type_name(entry: Any) -> str:
    """Name of the class that an entry of a config builds, without scope or module; ``''`` if there is none.

    Args:
        entry: An entry such as ``dict(type='mmkw.KWTemperatureHook', end=4)`` or
            ``dict(type=KWTemperatureHook, end=4)``.
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


def init_entries(init_cfg: InitCfg) -> list[Mapping]:
    """The entries of an ``init_cfg`` as a list; an ``init_cfg`` may be a single entry, several, or None."""
    return [init_cfg] if isinstance(init_cfg, Mapping) else list(init_cfg or [])
