"""mmkw's configs have names, in a checkout as in an installed package (tests/end_to_end/test_installed.py)."""

import re

import pytest
import yaml
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

import mmkw
from mmkw.config import LaunchError, read_config
from running import ROOT

CONFIGS = ROOT / 'configs'


@pytest.mark.parametrize(
    'name, file',
    [
        ('mmkw::coco/mask_rcnn_kw_r50_1x_coco.py', 'mask_rcnn_kw_r50_1x_coco.py'),
        ('mmkw::imagenet/kw1x_r18_in1k.py', 'imagenet/kw1x_r18_in1k.py'),
        ('mmkw::study/kw1x_cifar10.py', 'study/kw1x_cifar10.py'),
    ],
)
def test_a_base_by_name_is_the_same_as_by_path(tmp_path, name, file):
    """No entry gets mmengine's scope of the base, 'mmkw', in which nothing is registered."""
    (tmp_path / 'by_name.py').write_text(f'_base_ = {name!r}\nadded = _base_.model.type\n')
    cfg = Config.fromfile(tmp_path / 'by_name.py').to_dict()
    plain = Config.fromfile(CONFIGS / file)
    assert cfg.pop('added') == plain.model.type
    assert cfg == plain.to_dict() == read_config(name).to_dict()
    assert "'mmkw'" not in repr({**cfg, 'custom_imports': None})


def test_other_packages_names_stay_what_they_were(tmp_path):
    (tmp_path / 'config.py').write_text("_base_ = 'mmdet::_base_/models/mask-rcnn_r50_fpn.py'")
    assert Config.fromfile(tmp_path / 'config.py').model._scope_ == 'mmdet'


@pytest.mark.parametrize('name', ['mmkw::coco/mask_rcnn_kw_r5_1x_coco.py', 'mask_rcnn_kw_r50_1x.py'])
def test_an_unknown_name_is_answered_with_the_closest(name):
    with pytest.raises(FileNotFoundError, match=r'no config .*kw_r5.*did you mean .*mmkw::coco/mask_rcnn'):
        mmkw.config_file(name)


def test_an_unknown_name_ends_a_tool_with_a_sentence(tmp_path):
    with pytest.raises(LaunchError, match='has no config .*mmkw::imagenet/kw1x_r18_in1k.py'):
        read_config('mmkw::imagenet/kw1x_r18.py')
    (tmp_path / 'config.py').write_text("_base_ = 'mmkw::imagenet/kw1x_r18.py'")
    with pytest.raises(FileNotFoundError, match='has no config'):
        Config.fromfile(tmp_path / 'config.py')


@pytest.mark.parametrize('file', ['imagenet/kw1x_r18_in1k.py', 'study/kw1x_cifar10.py', 'demo/r18_digits.py'])
def test_a_classifier_builds_in_any_scope(file):
    """As mmengine.hub.get_model does it: in the scope of the package, and without regard to default_scope."""
    with DefaultScope.overwrite_default_scope('mmkw'):
        assert type(MODELS.build(Config.fromfile(CONFIGS / file).model)).__name__ == 'ImageClassifier'


def test_models_of_the_index_say_their_library():
    for listed in yaml.safe_load((CONFIGS / 'metafile.yml').read_text())['Models']:
        model = Config.fromfile(ROOT / listed['Config']).model
        assert model._scope_ == ('mmdet' if re.search('coco', listed['Config']) else 'mmpretrain'), listed['Name']
