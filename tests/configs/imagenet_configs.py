"""The ImageNet configs by name, for the tests here."""

import copy
import functools
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

CONFIGS = Path(__file__).parents[2] / 'configs' / 'imagenet'
# The recipe of DeiT is mmpretrain's own.
NAMES = sorted(path.stem.removesuffix('_in1k') for path in CONFIGS.glob('*.py') if 'deit' not in path.stem)


@functools.cache
def _read(name):
    return Config.fromfile(CONFIGS / f'{name}_in1k.py')


def config(name):
    """A copy of the config, which tests may change."""
    return copy.deepcopy(_read(name))


def build(cfg, part=None):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(cfg.model[part] if part else cfg.model)
