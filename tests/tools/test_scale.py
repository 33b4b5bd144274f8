"""The table of docs/scale.md is what tools/scale.py counts from the shapes of the models."""

import re
from pathlib import Path

import pytest

import scale
from mmkw.config import read_config

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'docs' / 'scale.md').read_text()
ROWS = re.findall(r'^\| `((?:imagenet/|mask_rcnn_)\w+)` .*$', PAGE, re.MULTILINE)
PUBLISHED = ('r18', 'r50', 'mbv2', 'mbv2_w050', 'convnext_t', 'deit_t')


def row_of(name):
    return scale.row(name, scale.needs(read_config(ROOT / 'configs' / f'{name}.py')))


def test_every_published_model_is_in_the_table():
    imagenet = {
        path.stem
        for path in (ROOT / 'configs' / 'imagenet').glob('*.py')
        if re.fullmatch(rf'(kw\w+?_)?({"|".join(PUBLISHED)})_in1k', path.stem)
    }
    coco = {
        path.stem
        for path in (ROOT / 'configs').glob('mask_rcnn_*.py')
        if not re.search('odconv|dyconv|warm', path.stem)
    }
    assert set(ROWS) == {f'imagenet/{name}' for name in imagenet} | coco


def test_the_head_of_the_table():
    assert f'{scale.HEAD}\n| `imagenet/r18_in1k`' in PAGE


@pytest.mark.slow
@pytest.mark.parametrize('name', ROWS)
def test_a_row(name):
    assert row_of(name) in PAGE.splitlines()


def test_a_ring_sends_nothing_on_one_gpu():
    config = read_config(ROOT / 'configs' / 'imagenet' / 'kw1x_r18_in1k.py')
    alone = scale.needs(config, gpus=1)
    assert alone.sent == 0
    assert alone.gradients == 4 * 11_932_148 == alone.parameters
    assert alone.optimizer == 2 * alone.gradients  # AdamW
    assert scale.needs(config, gpus=2).sent == alone.gradients


def test_what_cannot_be_counted_is_refused():
    config = read_config(ROOT / 'configs' / 'imagenet' / 'kw1x_r18_in1k.py')
    with pytest.raises(ValueError, match='--gpus must be 1 or more, got 0'):
        scale.needs(config, gpus=0)
    config.optim_wrapper.optimizer.type = 'LBFGS'
    with pytest.raises(ValueError, match='what LBFGS keeps is not known, only AdamW, Adam, SGD'):
        scale.needs(config)
