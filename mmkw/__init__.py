"""KernelWarehouse (Li & Yao, ICML 2024) for OpenMMLab.

Importing it registers the backbones, layers and hooks. Without OpenMMLab, ``mmkw.ops``, ``mmkw.layers`` and
``mmkw.plans`` work with torch alone.
"""

from importlib.util import find_spec

from . import versions

versions.check()  # before anything that could fail less clearly

from .layers import set_temperature  # noqa: E402
from .plans import convert  # noqa: E402
from .version import __version__  # noqa: E402

__all__ = ['__version__', 'convert', 'set_temperature']

if find_spec('mmengine') is not None:
    versions.check_torchvision()
    from . import checkpoints, engine, models  # importing them registers them
