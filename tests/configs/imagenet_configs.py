"""The ImageNet configs by name, for the tests here."""

import copy
import functools
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

CONFIGS = Path(__file__).parents[2] / 'configs' / 'imagenet'
# The recipe of DeiT is mmpretrain's own.
NAMES = sorted(path.stem.removesuffix('_in1k') for path in CONFIGS.glob('*.py') if 'deit' not in path.stem)
# By recipe.
TRADITIONAL = [name for name in NAMES if name.endswith('_100e')]
MOBILENETS = [name for name in NAMES if 'mbv2' in name]
ADVANCED = [name for name in NAMES if name not in (*TRADITIONAL, *MOBILENETS)]


@functools.cache
def _read(name):
    return Config.fromfile(CONFIGS / f'{name}_in1k.py')


def config(name):
    """A copy of the config, which tests may change."""
    return copy.deepcopy(_read(name))


def plain_backbone(cfg):
    """The settings of the backbone that a method is put into, or of the backbone itself."""
    return cfg.model.backbone.get('backbone', cfg.model.backbone)


def build(cfg, part=None):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(cfg.model[part] if part else cfg.model)
