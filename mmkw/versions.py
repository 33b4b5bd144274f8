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

# Module -> the packages that install it.
PACKAGES = {
    'torch': ('torch',),
    'mmengine': ('mmengine', 'mmengine-lite', 'onedl-mmengine'),
    'mmcv': ('mmcv', 'mmcv-full', 'mmcv-lite', 'onedl-mmcv'),
    'mmpretrain': ('mmpretrain', 'onedl-mmpretrain'),
    'mmdet': ('mmdet', 'onedl-mmdetection'),
}
OLDEST = {'torch': '2.1', 'mmcv': '2.0', 'mmpretrain': '1.0', 'mmdet': '3.0'}
OPENMMLAB = 'mmengine 0.10.7, mmcv 2.1.0, mmdet 3.3.0 and mmpretrain 1.2.0'
ONEDL = 'onedl-mmengine 0.10.12, onedl-mmcv 2.3.6, onedl-mmdetection 3.5.1 and onedl-mmpretrain 1.3.6'


def check(installed: Optional[Mapping[str, str]] = None) -> None:
    """Check that torch and the OpenMMLab (or OneDL) packages can work together.

    Args:
        installed: Package name -> version. Default: None, the packages that are installed here.

    Raises:
        ImportError: One sentence that names what was found and what to install. mmdet may be absent, and so
            may all of OpenMMLab, since ``mmkw.ops``, ``mmkw.layers``, ``mmkw.plans`` and ``mmkw.conversion`` need torch
            alone.
    """
    problem = _problem(installed_packages() if installed is None else installed)
    if problem:
        raise ImportError(f'mmkw cannot work with the packages installed here: {problem}.')


def check_torchvision() -> None:
    """Check that torchvision, which mmpretrain imports, loads beside this torch.

    Raises:
        ImportError: One sentence with the cause and the release to install.
    """
    try:
        with warnings.catch_warnings():
            # torchvision 0.16.2 warns so beside a newer torch, about torchvision.io, which OpenMMLab does not use.
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
    """Arguments of ``pip install`` for a torchvision that loads beside this torch."""
    if cuda is None:
        # Most package indexes serve newer releases as builds for CUDA, which fail at import beside a CPU torch.
        return '--no-deps torchvision==0.16.2'
    major, minor = (*_numbers(torch), 0)[:2]
    # torchvision 0.16 came with torch 2.1, and since then both minor versions have gone up together.
    return f'torchvision==0.{minor + 15}.*' if major == 2 else 'torchvision'


def installed_packages() -> dict[str, str]:
    """The packages of PACKAGES that are installed, by their metadata."""
    found = {}
    for module, names in PACKAGES.items():
        for name in names:
            try:
                found[name] = version(name) or ''
            except PackageNotFoundError:
                continue
        # A source checkout on PYTHONPATH has no metadata: it is installed, but its version is unknown.
        if not any(name in found for name in names) and find_spec(module) is not None:
            found[names[0]] = ''
    return found


def _numbers(text: str) -> tuple[int, ...]:
    """Read a version: '2.13.0+cpu' is (2, 13, 0), and an unknown version is ()."""
    match = re.match(r'\d+(\.\d+)*', text)
    return tuple(map(int, match[0].split('.'))) if match else ()


def _older(text: str, limit: str) -> bool:
    return bool(_numbers(text)) and _numbers(text) < _numbers(limit)


class _Found:
    """What is installed, by module: (package, version) of each package that brings it."""

    def __init__(self, installed: Mapping[str, str]) -> None:
        self.packages = {
            module: [(name, installed[name]) for name in names if name in installed]
            for module, names in PACKAGES.items()
        }

    def has(self, module: str) -> bool:
        """Whether the module is installed."""
        return bool(self.packages[module])

    def name(self, module: str) -> str:
        """Name of the package that installs the module; '' if none does."""
        return self.packages[module][0][0] if self.has(module) else ''

    def older(self, module: str, limit: str) -> bool:
        """Whether the module is installed in a known version below the limit."""
        return self.has(module) and _older(self.packages[module][0][1], limit)

    def shown(self, *modules: str) -> str:
        """The packages of some modules in words: 'mmcv 2.1.0 and onedl-mmcv 2.3.6'."""
        return ' and '.join(f'{name} {number}' for module in modules for name, number in self.packages[module])


_STACK = tuple(module for module in PACKAGES if module != 'torch')


def _doubled(found: _Found) -> Optional[str]:
    for module in _STACK:
        if len(found.packages[module]) > 1:
            names = ' '.join(name for name, _ in found.packages[module])
            return (
                f'{found.shown(module)} overwrite each other (both are the module {module}): '
                f'`pip uninstall {names}`, then install the one of your stack ({OPENMMLAB}; or {ONEDL})'
            )
    return None


def _missing(found: _Found) -> Optional[str]:
    missing = [module for module in ('mmengine', 'mmcv', 'mmpretrain') if not found.has(module)]
    there = ', '.join(found.shown(module) for module in _STACK if found.has(module))
    if not missing or not there:
        return None
    return f'{there} found, but not {" and ".join(missing)}: install {OPENMMLAB}; or {ONEDL}'


def _too_old(found: _Found) -> Optional[str]:
    for module, limit in OLDEST.items():
        if found.older(module, limit):
            stack = '' if module == 'torch' else f', {module} {limit} or newer is needed'
            remedy = f'torch {limit} or newer' if module == 'torch' else f'{OPENMMLAB}; or {ONEDL}'
            return f'{found.shown(module)} is too old{stack}: install {remedy}'
    return None


def _refused_mmcv(found: _Found) -> Optional[str]:
    if found.name('mmdet') != 'mmdet' or not found.older('mmdet', '3.4') or _older(_mmcv_version(found), '2.2'):
        return None
    if found.name('mmcv') == 'onedl-mmcv':
        return (
            f"{found.shown('mmcv')} is OneDL's and {found.shown('mmdet')} OpenMMLab's, which refuses mmcv 2.2 and "
            f'newer: install all of one stack, {ONEDL}; or {OPENMMLAB}'
        )
    return (
        f'{found.shown("mmdet")} refuses {found.shown("mmcv")} (it takes 2.0 to 2.1): '
        '`pip install --no-build-isolation mmcv==2.1.0`'
    )


def _mmcv_version(found: _Found) -> str:
    return found.packages['mmcv'][0][1] or '0'  # an unknown version counts as old enough


def _no_torch(found: _Found) -> Optional[str]:
    return None if found.has('torch') else f'torch is not installed: install torch {OLDEST["torch"]} or newer'


def _no_operators(found: _Found) -> Optional[str]:
    if found.name('mmcv') != 'mmcv-lite' or not found.has('mmdet'):
        return None
    return (
        f'{found.shown("mmcv")} has no compiled operators, which mmdet needs: `pip uninstall mmcv-lite`, '
        'then `pip install --no-build-isolation mmcv==2.1.0`'
    )


# Each rule returns what is wrong and what to install, or None. The first problem is reported.
_RULES = (_no_torch, _doubled, _missing, _no_operators, _too_old, _refused_mmcv)


def _problem(installed: Mapping[str, str]) -> Optional[str]:
    found = _Found(installed)
    return next((problem for rule in _RULES if (problem := rule(found))), None)
