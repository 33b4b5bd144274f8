"""Says in one sentence when the installed packages cannot work together, before they fail somewhere inside.

OpenMMLab's packages and OneDL's maintained forks of them install the same modules under other names; mmkw works
with either. ``check`` reads metadata and imports nothing.
"""

import re
import warnings
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Optional

# module: the packages that bring it.
PACKAGES = {
    'torch': ('torch',),
    'mmengine': ('mmengine', 'mmengine-lite', 'onedl-mmengine'),
    'mmcv': ('mmcv', 'mmcv-full', 'mmcv-lite', 'onedl-mmcv'),
    'mmpretrain': ('mmpretrain', 'onedl-mmpretrain'),
    'mmdet': ('mmdet', 'onedl-mmdetection'),
}
OLDEST = {'torch': '2.0', 'mmcv': '2.0', 'mmpretrain': '1.0', 'mmdet': '3.0'}
OPENMMLAB = 'mmengine 0.10.7, mmcv 2.1.0, mmdet 3.3.0 and mmpretrain 1.2.0'
ONEDL = 'onedl-mmengine 0.10.12, onedl-mmcv 2.3.6, onedl-mmdetection 3.5.1 and onedl-mmpretrain 1.3.6'


def check(installed: Optional[Mapping[str, str]] = None) -> None:
    """Checks that torch and the OpenMMLab (or OneDL) packages can work together.

    Args:
        installed: Package name to version. Default: None, what is installed here.

    Raises:
        ImportError: One sentence that names what was found and what to install. mmdet may be absent, and so
            may all of OpenMMLab, since ``mmkw.ops``, ``mmkw.layers`` and ``mmkw.plans`` need torch alone.
    """
    problem = _problem(_installed() if installed is None else installed)
    if problem:
        raise ImportError(f'mmkw cannot work with the packages installed here: {problem}.')


def check_torchvision() -> None:
    """Checks that torchvision, which mmpretrain imports, loads beside this torch.

    Raises:
        ImportError: One sentence with the cause and the release to install.
    """
    try:
        with warnings.catch_warnings():
            # Of torchvision.io, which OpenMMLab does not use: 0.16.2 warns so beside any newer torch.
            warnings.filterwarnings('ignore', message='Failed to load image Python extension')
            import torchvision  # noqa: F401
    except (ImportError, RuntimeError, OSError) as error:
        import torch

        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        missing = getattr(error, 'name', None) if isinstance(error, ModuleNotFoundError) else None
        if missing and missing.split('.')[0] != 'torchvision':
            remedy = f'pip install {missing}'
        else:
            remedy = f'pip install {_matching_torchvision(torch.__version__, torch.version.cuda)}'
        raise ImportError(
            f'torchvision, which mmpretrain imports, does not load beside torch {torch.__version__} '
            f'({cause}): `{remedy}`.'
        ) from error


def _matching_torchvision(torch: str, cuda: Optional[str]) -> str:
    """pip's arguments for a torchvision that loads beside this torch."""
    if cuda is None:
        # A newer build for CUDA, as most package indexes serve it, fails at import beside a CPU torch.
        return '--no-deps torchvision==0.16.2'
    major, minor = (*_numbers(torch), 0)[:2]
    # torchvision 0.15 came with torch 2.0, and the two have counted on together since.
    return f'torchvision==0.{minor + 15}.*' if major == 2 else 'torchvision'


def _installed() -> dict[str, str]:
    """The packages of PACKAGES that are installed, by their metadata."""
    found = {}
    for module, names in PACKAGES.items():
        for name in names:
            try:
                found[name] = version(name) or ''
            except PackageNotFoundError:
                continue
        # A source checkout on PYTHONPATH has no metadata: it is there, in a version that we do not know.
        if not any(name in found for name in names) and find_spec(module) is not None:
            found[names[0]] = ''
    return found


def _numbers(text: str) -> tuple[int, ...]:
    """'2.13.0+cpu' -> (2, 13, 0); empty for an unknown version."""
    match = re.match(r'\d+(\.\d+)*', text)
    return tuple(map(int, match[0].split('.'))) if match else ()


def _older(text: str, limit: str) -> bool:
    return bool(_numbers(text)) and _numbers(text) < _numbers(limit)


def _problem(installed: Mapping[str, str]) -> Optional[str]:
    """What is wrong and what to install, or None."""
    present = {
        module: [(name, installed[name]) for name in names if name in installed] for module, names in PACKAGES.items()
    }
    shown = {module: ' and '.join(f'{name} {number}' for name, number in rows) for module, rows in present.items()}
    if not present['torch']:
        return 'torch is not installed: install torch 2.0 or newer'
    if _older(present['torch'][0][1], OLDEST['torch']):
        return f'{shown["torch"]} is too old: install torch {OLDEST["torch"]} or newer'

    stack = [module for module in PACKAGES if module != 'torch']
    if not any(present[module] for module in stack):
        return None
    for module in stack:
        if len(present[module]) > 1:
            names = ' '.join(name for name, _ in present[module])
            return (
                f'{shown[module]} overwrite each other (both are the module {module}): '
                f'`pip uninstall {names}`, then install the one of your stack ({OPENMMLAB}; or {ONEDL})'
            )
    missing = [module for module in ('mmengine', 'mmcv', 'mmpretrain') if not present[module]]
    if missing:
        there = ', '.join(shown[module] for module in stack if present[module])
        return f'{there} found, but not {" and ".join(missing)}: install {OPENMMLAB}; or {ONEDL}'

    mmcv_name, mmcv = present['mmcv'][0]
    if mmcv_name == 'mmcv-lite' and present['mmdet']:
        return (
            f'{shown["mmcv"]} has no compiled operators, which mmdet needs: `pip uninstall mmcv-lite`, '
            'then `pip install --no-build-isolation mmcv==2.1.0`'
        )
    for module in ('mmcv', 'mmpretrain', 'mmdet'):
        if present[module] and _older(present[module][0][1], OLDEST[module]):
            needed = f'{module} {OLDEST[module]} or newer'
            return f'{shown[module]} is too old, {needed} is needed: install {OPENMMLAB}; or {ONEDL}'

    mmdet_name, mmdet = present['mmdet'][0] if present['mmdet'] else ('', '')
    if mmdet_name == 'mmdet' and _older(mmdet, '3.4') and not _older(mmcv or '0', '2.2'):
        if mmcv_name == 'onedl-mmcv':
            return (
                f"{shown['mmcv']} is OneDL's and {shown['mmdet']} OpenMMLab's, which refuses mmcv 2.2 and newer: "
                f'install all of one stack, {ONEDL}; or {OPENMMLAB}'
            )
        return (
            f'{shown["mmdet"]} refuses {shown["mmcv"]} (it takes 2.0 to 2.1): '
            '`pip install --no-build-isolation mmcv==2.1.0`'
        )
    return None
