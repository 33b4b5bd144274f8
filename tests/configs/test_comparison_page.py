"""docs/comparison.md and README's table say of the ten methods what is built, and what the model index has."""

import functools
import re
from pathlib import Path
from unittest import mock

import pytest
import torch
import yaml
from mmengine.registry import MODELS, DefaultScope

from benchmark.methods import COMPARED, METHODS
from mmkw.inspection import model_info

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs' / 'comparison.md').read_text()
README = (ROOT / 'README.md').read_text()


def rows_of(text):
    """The tables' rows, as lists of cells."""
    return [[cell.strip() for cell in line.strip('|').split('|')] for line in text.splitlines() if line[:1] == '|']


def section(text, heading):
    return re.search(rf'^## {heading}\n(.*?)(?=^## |\Z)', text, re.DOTALL | re.MULTILINE)[1]


# Name -> what the page says of it.
COUNTED = {row[1].strip('`'): row for row in rows_of(section(PAGE, 'Parameters and multiply-adds')) if row[1][0] == '`'}


def counts(name, depth):
    """Parameters and multiply-adds (G) of a classifier with the method."""
    backbone, method = dict(type='PlainResNet', depth=depth), METHODS.get(name)
    head = dict(type='LinearClsHead', num_classes=1000, in_channels=512 if depth == 18 else 2048)
    if method is not None:
        backbone = dict(type='ConvertedBackbone', backbone=backbone, method=method)
        if method['type'] in ('CondConv', 'DCD'):
            head.update(type='ConvertedLinearClsHead', method=method)
    elif name != 'plain':
        backbone.update(type='KWResNet', budget=name)
    cfg = dict(type='ImageClassifier', backbone=backbone, neck=dict(type='GlobalAveragePooling'), head=head)
    # Without values; mmpretrain reads its stochastic depth rates from a tensor.
    on_cpu = mock.patch('torch.linspace', functools.partial(torch.linspace, device='cpu'))
    with torch.device('meta'), on_cpu, DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg).eval()
        info = model_info(model, lambda x: model.head(model.extract_feat(x)), torch.zeros(1, 3, 224, 224))
    return info.parameters, (info.convolution + info.attention + info.assembly) / 1e9


@pytest.mark.parametrize('name', ['plain', *COMPARED])
def test_parameters_and_multiply_adds(name):
    said = COUNTED[name]
    for depth, (parameters, _, giga) in ((18, said[2:5]), (50, said[5:8])):
        found = counts(name, depth)
        assert (f'{found[0]:,}', f'{found[1]:.3f}') == (parameters, giga)


def test_the_published_parameters_are_ours_but_for_those_that_the_page_explains():
    differing = set()
    for name, row in COUNTED.items():
        for ours, published in (row[2:4], row[5:7]):
            if published not in ('not found', f'{int(ours.replace(",", "")) / 1e6:.2f}'):
                differing.add((name, published))
    assert differing == {('cgc', '11.69'), ('weightnet', '11.93'), ('cbam', '28.07')}
    explained = section(PAGE, 'Where code and paper differ')
    assert all(published in explained for _, published in differing)


SOURCES = {
    '[MCL]': "KernelWarehouse's ResNet18 table, quoted by the MCL paper",
    '[KAN]': "KernelWarehouse's ImageNet table, quoted by the Core-KAN paper",
    '[FD]': "KernelWarehouse's COCO table, quoted by the FDConv paper",
    '[OD]': "ODConv's release",
}


def published(model):
    """Figures of a model of the index by source, as the page writes them."""
    found = {}
    for result in model['Results']:
        values = [f'{value:.{1 if "AP" in metric else 2}f}' for metric, value in result['Metrics'].items()]
        found.setdefault(result['Source'], []).extend(values)
    return {(source, ' / '.join(values)) for source, values in found.items()}


def test_published_results_are_those_of_the_model_index():
    listed = yaml.safe_load((ROOT / 'configs' / 'metafile.yml').read_text())['Models']
    expected, said = {}, {}
    for model in listed:
        sources = {result['Source'] for result in model['Results']}
        if sources <= set(SOURCES.values()) and model['Name'] != 'mask_rcnn_kw_r50_warm_1x_coco':
            expected[model['Name']] = published(model)
    imagenet, coco = section(PAGE, 'Published results').split('COCO, ')
    for text, pattern in ((imagenet, '{}_in1k'), (coco, 'mask_rcnn_{}_1x_coco')):
        for _, name, figures, source in rows_of(text):
            if name[0] != '`':
                continue
            parts = [] if figures == 'not found' else figures.split(', ')
            labels = [SOURCES[label] for label in source.split(', ')] if source else []
            parts *= len(labels) if len(parts) == 1 else 1  # several tables have the same
            assert len(parts) == len(labels)
            said[pattern.format(name.strip('`'))] = set(zip(labels, parts))
    assert said == expected


def test_readme_agrees_with_the_page():
    published = {
        row[0]: row[2].split(' / ')[0] for row in rows_of(section(PAGE, 'Published results')) if '100e' in row[1]
    }
    counted = {row[0]: row for row in COUNTED.values()}
    measured = {row[0]: row[1:] for row in rows_of(section(PAGE, 'Time and memory'))}
    rows = {row[0]: row[2:] for row in rows_of(section(README, 'Ten methods'))}
    for title in COMPARED.values():
        millions = int(counted[title][2].replace(',', '')) / 1e6
        ratios = [f'{measured[title][i]}, {measured[title][i + 2]}' for i in (0, 1, 4)]
        assert rows[title] == [f'{millions:.2f}', counted[title][4], *ratios, published.get(title, 'not found')]
