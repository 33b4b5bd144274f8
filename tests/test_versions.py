"""The rules of mmkw.versions, tested on plain dictionaries and in the real environment."""

import importlib
import sys

import pytest

from mmkw import versions

OPENMMLAB = {
    'torch': '2.13.0+cpu',
    'mmengine': '0.10.7',
    'mmcv': '2.1.0',
    'mmdet': '3.3.0',
    'mmpretrain': '1.2.0',
}
ONEDL = {
    'torch': '2.13.0+cu130',
    'onedl-mmengine': '0.10.12',
    'onedl-mmcv': '2.3.6',
    'onedl-mmdetection': '3.5.1',
    'onedl-mmpretrain': '1.3.6',
}


def without(stack, *names):
    return {name: version for name, version in stack.items() if name not in names}


def message(installed):
    with pytest.raises(ImportError) as caught:
        versions.check(installed)
    text = str(caught.value)
    assert '\n' not in text and text.endswith('.')
    return text


@pytest.mark.parametrize(
    'installed',
    [
        OPENMMLAB,
        ONEDL,
        without(OPENMMLAB, 'mmdet'),
        without(ONEDL, 'onedl-mmdetection'),
        {'torch': '2.1.0'},  # mmkw.ops and mmkw.layers alone
        {**OPENMMLAB, 'torch': '2.10.1'},  # not older than 2.9, although its text sorts before that
        {**OPENMMLAB, 'mmcv': '2.0.0rc4'},
        {**without(OPENMMLAB, 'mmcv', 'mmdet'), 'mmcv-lite': '2.1.0'},  # only mmdet needs the operators
        {**without(OPENMMLAB, 'mmdet'), 'mmcv': '2.2.0'},
        {**without(OPENMMLAB, 'mmengine'), 'mmengine-lite': '0.10.7'},
        {**OPENMMLAB, 'mmcv': ''},  # a source checkout has no metadata, so nothing is said
    ],
)
def test_what_works_passes(installed):
    versions.check(installed)


@pytest.mark.parametrize(
    'installed, parts',
    [
        (without(OPENMMLAB, 'torch'), ['torch is not installed', 'torch 2.1']),
        ({**OPENMMLAB, 'torch': '2.0.1'}, ['torch 2.0.1 is too old', '2.1 or newer']),
        ({**OPENMMLAB, 'mmcv': '2.2.0'}, ['mmdet 3.3.0 refuses mmcv 2.2.0', 'mmcv==2.1.0']),
        ({**OPENMMLAB, 'mmcv': '2.10.0'}, ['mmdet 3.3.0 refuses mmcv 2.10.0']),
        ({**OPENMMLAB, 'mmcv': '1.7.2'}, ['mmcv 1.7.2 is too old', 'mmcv 2.1.0']),
        ({**without(OPENMMLAB, 'mmcv'), 'mmcv-full': '1.7.2'}, ['mmcv-full 1.7.2 is too old']),
        ({**without(OPENMMLAB, 'mmcv'), 'mmcv-lite': '2.1.0'}, ['mmcv-lite 2.1.0', 'compiled operators']),
        ({**OPENMMLAB, 'mmpretrain': '0.25.0'}, ['mmpretrain 0.25.0 is too old', 'mmpretrain 1.2.0']),
        ({**OPENMMLAB, 'mmdet': '2.28.2'}, ['mmdet 2.28.2 is too old', 'mmdet 3.3.0']),
        (without(OPENMMLAB, 'mmengine'), ['mmcv 2.1.0', 'but not mmengine', 'mmengine 0.10.7']),
        (without(OPENMMLAB, 'mmcv'), ['but not mmcv', 'mmcv 2.1.0']),
        (without(ONEDL, 'onedl-mmpretrain'), ['but not mmpretrain', 'onedl-mmpretrain 1.3.6']),
        ({'torch': '2.13.0', 'mmdet': '3.3.0'}, ['mmdet 3.3.0 found', 'not mmengine and mmcv and mmpretrain']),
        ({**OPENMMLAB, 'onedl-mmcv': '2.3.6'}, ['mmcv 2.1.0 and onedl-mmcv 2.3.6', 'pip uninstall mmcv onedl-mmcv']),
        ({**ONEDL, 'mmengine': '0.10.7'}, ['mmengine 0.10.7 and onedl-mmengine 0.10.12', 'pip uninstall']),
        (
            {**without(ONEDL, 'onedl-mmdetection'), 'mmdet': '3.3.0'},
            ["onedl-mmcv 2.3.6 is OneDL's and mmdet 3.3.0 OpenMMLab's", 'onedl-mmdetection 3.5.1'],
        ),
    ],
)
def test_what_cannot_work_gets_one_sentence(installed, parts):
    text = message(installed)
    for part in parts:
        assert part in text


def test_the_real_environment_passes():
    versions.check()
    versions.check_torchvision()


def test_a_source_checkout_on_the_path_counts_as_installed(monkeypatch, tmp_path):
    (tmp_path / 'mmdet').mkdir()
    (tmp_path / 'mmdet' / '__init__.py').touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'mmdet', raising=False)

    def no_mmdet(name):
        if 'mmdet' in name:
            raise versions.PackageNotFoundError(name)
        return '9.9'

    monkeypatch.setattr(versions, 'version', no_mmdet)
    assert versions.installed_packages()['mmdet'] == ''


@pytest.fixture
def fake_torchvision(monkeypatch, tmp_path):
    """Put a torchvision with the given source before the real one."""

    def install(source):
        (tmp_path / 'torchvision').mkdir()
        (tmp_path / 'torchvision' / '__init__.py').write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, 'torchvision', raising=False)
        importlib.invalidate_caches()

    return install


@pytest.mark.parametrize('cuda, remedy', [(None, '--no-deps torchvision==0.16.2'), ('13.0', 'torchvision==0.28.*')])
@pytest.mark.parametrize('error', ['RuntimeError', 'OSError', 'ImportError'])
def test_a_torchvision_of_another_torch(fake_torchvision, monkeypatch, cuda, remedy, error):
    import torch

    monkeypatch.setattr(torch.version, 'cuda', cuda)
    monkeypatch.setattr(torch, '__version__', '2.13.0')
    fake_torchvision(f"raise {error}('operator torchvision::nms does not exist\\nand a trace')")
    with pytest.raises(ImportError) as caught:
        versions.check_torchvision()
    text = str(caught.value)
    assert 'torch 2.13.0 (operator torchvision::nms does not exist)' in text
    assert f'`pip install {remedy}`' in text and '\n' not in text


def test_a_torchvision_whose_own_dependency_is_missing(fake_torchvision):
    fake_torchvision('import a_module_that_nobody_has.part')
    with pytest.raises(ImportError, match='`pip install a_module_that_nobody_has`'):
        versions.check_torchvision()


@pytest.mark.parametrize('torch, release', [('2.1.2+cu121', '0.16.*'), ('2.10.0', '0.25.*')])
def test_the_matching_torchvision(torch, release):
    assert versions._matching_torchvision(torch, cuda='12.1') == f'torchvision=={release}'
