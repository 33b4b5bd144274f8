"""mmkw installed from a wheel and used from another folder: names of configs, hub, openmim, tools."""

import json
import re
import zipfile

import pytest
import yaml
from mmengine.config import Config

from installed import Environment
from mmkw.demo import shapes
from mmkw.versions import installed_packages
from running import ROOT, TINY_MASK_RCNN

pytestmark = pytest.mark.slow

CONFIGS = sorted(path for path in (ROOT / 'configs').rglob('*.py') if '_base_' not in path.parts)


@pytest.fixture(scope='module')
def installed(tmp_path_factory):
    return Environment(tmp_path_factory.mktemp('installed'))


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A user's folder: data, and configs that inherit from mmkw's, by the name and by the path."""
    folder = tmp_path_factory.mktemp('user')
    shapes.generate(folder / 'shapes', seed=0, train=4, val=2, size=64)
    text = TINY_MASK_RCNN.read_text()
    base = "'../../configs/_base_/mask_rcnn_1x_coco.py'"
    assert text.count(base) == 1
    name = 'mmkw::coco/mask_rcnn_kw_r50_1x_coco.py'
    (folder / 'by_name.py').write_text(text.replace(base, repr(name)))
    (folder / 'by_path.py').write_text(text.replace(base, f"__import__('mmkw').config_file({name!r})"))
    return folder


by_openmim = pytest.mark.skipif(
    'onedl-mmengine' in installed_packages(), reason="OneDL's mim looks for mmkw's tools beside its metadata"
)
SHORT = ('--work-dir', 'run', '--cfg-options', 'train_cfg.max_epochs=1', 'train_cfg.val_interval=1')


def test_the_checkout_is_out_of_reach(installed, folder):
    assert 'the checkout is used' in installed.run('-c', f'open({str(ROOT / "setup.py")!r})', cwd=folder, status=1)
    where = installed.run('-c', 'import mmkw; print(mmkw.__file__)', cwd=folder).splitlines()[-1]
    assert where == str(installed.packages / 'mmkw' / '__init__.py')


def test_the_wheel_holds_the_package_and_what_the_ecosystem_looks_for(installed):
    names = zipfile.ZipFile(installed.wheel).namelist()
    assert {name.split('/')[0].partition('-')[0] for name in names} == {'mmkw'}
    ours = [name.removeprefix('mmkw/.mim/') for name in names if name.startswith('mmkw/.mim/')]
    assert {'model-index.yml', 'configs/metafile.yml', 'tools/train.py', 'tools/test.py', 'tools/dist_train.sh'} <= {
        *ours
    }
    assert not [name for name in ours if 'setup' in name or 'demo.py' in name]


def test_configs_are_those_of_the_checkout(installed, folder):
    """They are the same files. Those of a folder of their own read alike too, so what they inherit from is found."""
    names = ['coco/' * (path.parent.name == 'configs') + str(path.relative_to(ROOT / 'configs')) for path in CONFIGS]
    mim = installed.packages / 'mmkw' / '.mim'
    checkout = {path.relative_to(ROOT): path.read_text() for path in (ROOT / 'configs').rglob('*/*.py')}
    assert checkout == {path: (mim / path).read_text() for path in checkout}
    code = (
        'import json, sys, mmkw; from mmengine.config import Config;'
        'read = lambda name: repr(Config.fromfile(mmkw.config_file(name)).to_dict());'
        'json.dump({name: read(name) for name in sys.argv[2:]}, open(sys.argv[1], "w"))'
    )
    moved = {name: path for name, path in zip(names, CONFIGS) if name.startswith('coco/')}
    installed.run('-c', code, 'configs.json', *moved, cwd=folder)
    found = json.loads((folder / 'configs.json').read_text())
    for name, path in moved.items():
        assert found[name] == repr(Config.fromfile(path).to_dict()), name

    (metafile,) = yaml.safe_load((mim / 'model-index.yml').read_text())['Import']
    listed = [model['Config'] for model in yaml.safe_load((mim / metafile).read_text())['Models']]
    assert all((mim / config).is_file() for config in listed)
    assert {f'configs/{name}' for name in names if name.startswith(('coco/', 'imagenet/'))} == {*listed}


@pytest.mark.parametrize(
    'name, kind', [('coco/mask_rcnn_kw_mbv2_1x_coco.py', 'MaskRCNN'), ('imagenet/kw1x_r18_in1k.py', 'ImageClassifier')]
)
def test_hub(installed, folder, name, kind):
    code = (
        'import sys, mmkw; from mmengine.hub import get_config, get_model;'
        "cfg = get_config(sys.argv[1]); model = get_model(sys.argv[1]); print('=', cfg.filename);"
        "print('=', type(model).__name__, sum(p.numel() for p in model.parameters()))"
    )
    output = installed.run('-c', code, f'mmkw::{name}', cwd=folder)
    assert 'WARNING' not in output
    path, built = re.findall(r'^= (.*)', output, flags=re.MULTILINE)
    assert path == str(installed.packages / 'mmkw' / '.mim' / 'configs' / name)
    models = yaml.safe_load((ROOT / 'configs' / 'metafile.yml').read_text())['Models']
    (model,) = (model for model in models if model['Name'] == name.partition('/')[2].removesuffix('.py'))
    assert built == f'{kind} {model["Metadata"]["Parameters"]}'


@by_openmim
def test_the_installed_tools_train_and_test(installed, folder):
    """openmim runs mmkw's own tools, with a config that inherits by the name."""
    output = installed.mim('train', 'mmkw', 'by_name.py', '--gpus', '0', *SHORT, cwd=folder)
    assert 'coco/segm_mAP' in output
    output = installed.mim('test', 'mmkw', 'by_name.py', '-C', 'run/epoch_1.pth', cwd=folder)
    assert 'coco/segm_mAP' in output


@by_openmim
def test_mmdets_tools_train_and_test(installed, folder):
    """mmdet's tools import mmkw only when they read ``custom_imports``, so the config has to import it before."""
    output = installed.mim('train', 'mmdet', 'by_path.py', '--gpus', '0', *SHORT, cwd=folder)
    assert 'coco/segm_mAP' in output
    output = installed.mim('test', 'mmdet', 'by_path.py', '-C', 'run/epoch_1.pth', cwd=folder)
    assert 'coco/segm_mAP' in output
    output = installed.mim('train', 'mmdet', 'by_name.py', '--gpus', '0', cwd=folder, status=1)
    assert 'mmengine does not support to load mmkw config' in output  # docs/package.md says what to do


@by_openmim
def test_a_config_of_the_package_is_found_by_its_file_name(installed, folder):
    """The training then says which data and checkpoint are missing, relative to the user's folder."""
    output = installed.mim('train', 'mmkw', 'mask_rcnn_kw_r50_1x_coco.py', '--gpus', '0', cwd=folder, status=1)
    assert re.search(r'missing: checkpoints/kw1x_resnet50.pth\n +get it: .*\n +put it: ' + str(folder), output)


@by_openmim
def test_other_tools(installed, folder):
    output = installed.mim('run', 'mmkw', 'model_info', 'mmkw::imagenet/kw1x_r18_in1k.py', cwd=folder)
    assert '11,932,148' in output or '11.93' in output


@by_openmim
def test_search_and_download(installed, folder):
    output = installed.mim('search', 'mmkw', '--config', 'kw1x_r18_in1k', '--field', 'config', cwd=folder)
    assert 'configs/imagenet/kw1x_r18_in1k.py' in output
    # There are no weights to download: openmim says that the index has no such field.
    output = installed.mim('download', 'mmkw', '--config', 'kw1x_r18_in1k', '--dest', '.', cwd=folder, status=1)
    assert "{'weight'}" in output
