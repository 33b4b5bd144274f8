"""The model index names every config, with our own parameter counts and results that say whose they are."""

import functools
from pathlib import Path
from unittest import mock

import pytest
import torch
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


def test_every_result_says_who_published_it():
    assert {result['Source'] for model in MODELS_LISTED for result in model['Results']} == {
        'published',  # in KernelWarehouse's release or paper
        "KernelWarehouse's ResNet18 table, quoted by the MCL paper",
        "KernelWarehouse's ImageNet table, quoted by the Core-KAN paper",
        "KernelWarehouse's COCO table, quoted by the FDConv paper",
        "ODConv's release",
    }


def comment_of(path):
    lines = path.read_text().splitlines()
    return ' '.join(line.removeprefix('# ') for line in lines[: lines.index(next(li for li in lines if li[:1] != '#'))])


def test_a_config_without_a_published_result_says_so():
    said = {
        model['Name']
        for model in MODELS_LISTED
        if 'No result was found' in (comment := comment_of(ROOT / model['Config'])) or 'No published result' in comment
    }
    assert said == {model['Name'] for model in MODELS_LISTED if not model['Results']}


def test_a_config_names_the_results_that_others_published_of_it():
    for model in MODELS_LISTED:
        for result in model['Results']:
            if result['Source'] != 'published':
                comment = comment_of(ROOT / model['Config'])
                for metric, value in result['Metrics'].items():
                    assert (f'{value:.1f}' if 'AP' in metric else f'{value:.2f}') in comment, model['Name']
                assert comment.endswith(f'tools/dist_train.sh {model["Config"]} 8'), model['Name']


def test_collections():
    content = yaml.safe_load((ROOT / 'configs' / 'metafile.yml').read_text())
    names = [collection['Name'] for collection in content['Collections']]
    assert sorted(names) == sorted({model['In Collection'] for model in MODELS_LISTED})
    assert all((ROOT / collection['README']).is_file() for collection in content['Collections'])


@pytest.mark.parametrize('listed', MODELS_LISTED, ids=lambda listed: listed['Name'])
def test_parameters(listed):
    cfg = Config.fromfile(ROOT / listed['Config'])
    # Without values; mmpretrain reads its stochastic depth rates from a tensor.
    on_cpu = mock.patch('torch.linspace', functools.partial(torch.linspace, device='cpu'))
    with torch.device('meta'), on_cpu, DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model)
    assert sum(p.numel() for p in model.parameters()) == listed['Metadata']['Parameters']
