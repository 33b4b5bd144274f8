"""Every ImageNet config builds the published network: parameters as in the paper's tables."""

import re
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from mmkw.engine import LaunchError, check_files

CONFIGS = Path(__file__).parents[2] / 'configs' / 'imagenet'
DOCUMENTATION = Path(__file__).parents[2] / 'docs' / 'imagenet_recipes.md'

# Parameters in millions, as published. ResNet18 at b = 1/4 has 4.03 by the release's own code (its table says 4.08).
# ConvNeXt-T at b = 3/4 and DeiT-Tiny have no published code: the counts are ours.
PARAMETERS = {
    'r18': 11.69,
    'kw1d4_r18': 4.03,
    'kw1d2_r18': 7.43,
    'kw1x_r18': 11.93,
    'kw2x_r18': 23.24,
    'kw4x_r18': 45.86,
    'r50': 25.56,
    'kw1d2_r50': 17.64,
    'kw1x_r50': 28.05,
    'kw4x_r50': 102.02,
    'mbv2': 3.50,
    'kw1d2_mbv2': 2.65,
    'kw1x_mbv2': 5.17,
    'kw4x_mbv2': 11.38,
    'mbv2_w050': 1.97,
    'kw1d2_mbv2_w050': 1.47,
    'kw1x_mbv2_w050': 2.85,
    'kw4x_mbv2_w050': 4.65,
    'convnext_t': 28.59,
    'kw1x_convnext_t': 39.37,
    'kw3d4_convnext_t': 24.78,
    'deit_t': 5.72,
    'kw4x_deit_t': 23.58,
}


def build(name):
    cfg = Config.fromfile(CONFIGS / f'{name}_in1k.py')
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return MODELS.build(cfg.model)


def test_the_table_is_whole():
    assert {path.name for path in CONFIGS.glob('*.py')} == {f'{name}_in1k.py' for name in PARAMETERS}


@pytest.mark.parametrize('name, millions', PARAMETERS.items())
def test_parameters(name, millions):
    found = sum(p.numel() for p in build(name).parameters()) / 1e6
    assert round(found, 2) == millions


@pytest.mark.parametrize('name', ['kw1x_r18', 'mbv2', 'kw4x_deit_t'])
def test_missing_images_are_named_with_where_to_get_and_how_to_put_them(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LaunchError) as error:
        check_files(Config.fromfile(CONFIGS / f'{name}_in1k.py'), 'train')
    train, val, get, put, _ = str(error.value).splitlines()
    assert (train, val) == ('missing: data/imagenet/train', 'missing: data/imagenet/val')
    assert 'https://image-net.org' in get and 'train/n01440764/*.JPEG' in get
    assert put == f'    put it: {tmp_path}/data/imagenet/'


def test_the_documentation_has_a_command_for_each():
    commands = re.findall(r'`tools/dist_train\.sh configs/imagenet/(\w+)_in1k\.py [48]`', DOCUMENTATION.read_text())
    assert sorted(commands) == sorted(PARAMETERS)
