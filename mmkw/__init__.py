"""KernelWarehouse (Li & Yao, ICML 2024) for OpenMMLab.

Importing mmkw registers the backbones, layers and hooks. Without OpenMMLab, ``mmkw.ops``, ``mmkw.layers``,
``mmkw.plans`` and ``mmkw.conversion`` work with torch alone.
"""

from importlib.util import find_spec

from . import versions

versions.check()  # first: what comes after would fail with less clear messages

from .conversion import convert  # noqa: E402
from .layers import set_inference_memory, set_temperature  # noqa: E402
from .version import __version__  # noqa: E402

__all__ = ['__version__', 'convert', 'set_inference_memory', 'set_temperature']

if find_spec('mmengine') is not None:
    versions.check_torchvision()
    from . import checkpoints, engine, models  # importing them registers them
    from .config import config_file

    __all__ += ['config_file']
