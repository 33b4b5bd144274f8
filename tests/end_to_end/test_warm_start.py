"""A detector starts from plain weights and is trained while its temperature falls, as the documentation says."""

import re

import pytest
import torch
from mmpretrain.models.backbones import ResNet
from test_train_test import metrics

from mmkw.demo import shapes
from running import TINY_MASK_RCNN, run_tool

pytestmark = pytest.mark.slow

CONFIG = f"""
_base_ = '{TINY_MASK_RCNN}'
model = dict(backbone=dict(init_cfg=dict(type='PlainPretrained', checkpoint='plain.pth')))
custom_hooks = [*_base_.custom_hooks, dict(type='TemperatureHook', end=1)]
train_cfg = dict(max_epochs=1, val_interval=1)
"""


def test_trains_and_is_scored(tmp_path):
    shapes.generate(tmp_path / 'shapes', seed=0, train=8, val=4, size=64)
    torch.manual_seed(0)
    torch.save(ResNet(18, stem_channels=16, base_channels=16).state_dict(), tmp_path / 'plain.pth')
    (tmp_path / 'config.py').write_text(CONFIG)
    log = run_tool('train.py', 'config.py', '--work-dir', 'detector', cwd=tmp_path)
    found = metrics(log, 'val')
    # -1 would mean that there was nothing to count.
    assert all(0 <= float(found[f'coco/{kind}_mAP']) <= 1 for kind in ('bbox', 'segm'))
    temperatures = [float(value) for value in re.findall(r'temperature: ([\d.]+)', log)]
    assert 1 > temperatures[0] > temperatures[1] > temperatures[-1] == 0
    state = torch.load(tmp_path / 'detector' / 'epoch_1.pth', weights_only=True)['state_dict']
    assert state['backbone.warehouses.temperature'] == 0
