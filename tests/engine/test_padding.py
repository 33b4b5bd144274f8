"""A detector's padded test batches are warned of, exactly if its attention would pool over the padding."""

from types import SimpleNamespace

import pytest
from mmengine.config import Config
from torch import nn

from mmkw.engine.padding import warn_of_padding
from mmkw.models import KWResNet, converted_backbone

NARROW = dict(depth=18, stem_channels=4, base_channels=4)


def warnings_of(backbone, batch_size=8, scope='mmdet', part='test'):
    said = []
    model = nn.Module()
    model.backbone = backbone
    cfg = Config({'default_scope': scope, f'{part}_dataloader': dict(batch_size=batch_size)})
    warn_of_padding(SimpleNamespace(cfg=cfg, model=model, logger=SimpleNamespace(warning=said.append)), part)
    return said


@pytest.mark.parametrize('part', ['val', 'test'])
def test_what_pools_over_the_padding(part):
    (said,) = warnings_of(KWResNet(**NARROW), part=part)
    assert said.startswith(f'{part}_dataloader.batch_size is 8: ')
    assert 'the attentions of KWConv2d pool over the padding' in said


def test_other_methods_too():
    backbone = converted_backbone(dict(type='mmpretrain.ResNet', **NARROW), dict(type='ODConv'))
    (said,) = warnings_of(backbone)
    assert 'ODConv2d' in said


@pytest.mark.parametrize(
    'backbone, settings',
    [
        (KWResNet(**NARROW), dict(batch_size=1)),
        (KWResNet(**NARROW), dict(scope='mmpretrain')),
        (KWResNet(attention_extent='picture', **NARROW), {}),
        (nn.Conv2d(3, 4, 1), {}),
    ],
    ids=['single images', 'a classifier', 'own extent', 'plain'],
)
def test_what_does_not(backbone, settings):
    assert warnings_of(backbone, **settings) == []
