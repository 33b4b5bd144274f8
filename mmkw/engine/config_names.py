"""Lets configs inherit by name from those that come with mmkw: ``_base_ = 'mmkw::coco/mask_rcnn_kw_r50_1x_coco.py'``.

mmengine resolves such names for a fixed list of packages only, so importing mmkw adds itself to that list, which
``mmengine.hub`` reads, and wraps the method that finds the file of a ``_base_``.
"""

import functools
from typing import Optional

from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE

from mmkw.config import config_file


def know_config_names() -> None:
    """Make mmengine know the names of mmkw's configs; ``import mmkw`` calls this.

    mmengine would note ``mmkw`` as the scope of all that such a config builds. But mmkw registers its classes where
    every library finds them, and takes the rest from mmdet or mmpretrain: as for a ``_base_`` in the same folder, the
    config's own ``default_scope`` says which.
    """
    MODULE2PACKAGE['mmkw'] = 'mmkw'
    others = Config._get_cfg_path

    @functools.wraps(others)
    def get_cfg_path(cfg_path: str, filename: str) -> tuple[str, Optional[str]]:
        if cfg_path.startswith('mmkw::'):
            return config_file(cfg_path), None
        return others(cfg_path, filename)

    Config._get_cfg_path = staticmethod(get_cfg_path)
