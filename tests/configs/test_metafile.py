"""The model index names every config, with our own parameter counts and results that say whose they are."""

from pathlib import Path

import pytest
import yaml
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

ROOT = Path(__file__).parents[2]
MODELS_LISTED = yaml.safe_load((ROOT / 'configs' / 'metafile.yml').read_text())['Models']


def test_index_imports_the_metafile():
    assert yaml.safe_load((ROOT / 'model-index.yml').read_text()) == {'Import': ['configs/metafile.yml']}


def test_every_config_is_listed_once():
    folders = (ROOT / 'configs', ROOT / 'configs' / 'imagenet')
    configs = sorted(str(path.relative_to(ROOT)) for folder in folders for path in folder.glob('*.py'))
    assert sorted(model['Config'] for model in MODELS_LISTED) == configs
    assert all(Path(model['Config']).stem == model['Name'] for model in MODELS_LISTED)


def test_every_result_is_labelled_as_published():
    assert {result['Source'] for model in MODELS_LISTED for result in model['Results']} == {'published'}


@pytest.mark.parametrize('name', ['kw1d2_mbv2_w050_in1k', 'kw3d4_convnext_t_in1k', 'mask_rcnn_kw4x_mbv2_1x_coco'])
def test_parameters(name):
    listed = next(model for model in MODELS_LISTED if model['Name'] == name)
    cfg = Config.fromfile(ROOT / listed['Config'])
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model)
    assert sum(p.numel() for p in model.parameters()) == listed['Metadata']['Parameters']
