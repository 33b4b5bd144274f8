"""A classifier trained here becomes a detector's backbone, as the documentation says."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from test_train_test import metrics

from mmkw.demo import shapes
from running import TINY_CLASSIFIER, TINY_MASK_RCNN, run_tool

pytestmark = pytest.mark.slow

INIT = dict(type='Pretrained', prefix='backbone.')


@pytest.fixture(scope='module')
def pretrained(tmp_path_factory):
    """A folder with the shapes, and a classifier trained with tau from 1 to 0 in `classifier/epoch_3.pth`."""
    folder = tmp_path_factory.mktemp('pretrained')
    shapes.generate(folder / 'shapes', seed=0, train=8, val=4, size=64)
    rng = np.random.default_rng(0)
    for name, shade in (('dark', 40), ('light', 160)):
        (folder / 'images' / name).mkdir(parents=True)
        for number in range(4):
            image = (shade + 60 * rng.random((32, 32, 3))).astype(np.uint8)
            cv2.imwrite(str(folder / 'images' / name / f'{number}.png'), image)
    (folder / 'config.py').write_text(
        f"_base_ = '{TINY_CLASSIFIER}'\ncustom_hooks = [*_base_.custom_hooks, dict(type='TemperatureHook', end=2)]\n"
    )
    run_tool('train.py', 'config.py', '--work-dir', 'classifier', cwd=folder)
    return folder


def backbone_from(checkpoint):
    cfg = Config.fromfile(TINY_MASK_RCNN)
    cfg.model.backbone.init_cfg = dict(INIT, checkpoint=str(checkpoint))
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
        model.init_weights()
    return model.backbone.state_dict()


def saved(path):
    state = torch.load(path, weights_only=True)['state_dict']
    return {name.removeprefix('backbone.'): value for name, value in state.items() if name.startswith('backbone.')}


def test_every_weight_arrives_and_tau_is_0(pretrained):
    checkpoint = pretrained / 'classifier' / 'epoch_3.pth'
    arrived, sent = backbone_from(checkpoint), saved(checkpoint)
    assert arrived.keys() == sent.keys()
    assert [name for name in sent if not torch.equal(arrived[name], sent[name])] == []
    assert arrived['warehouses.temperature'] == 0


def test_tau_of_a_pretraining_that_stopped_early_is_kept(pretrained):
    """The loaded network is the one that was trained, and only TemperatureHook lowers its tau."""
    content = torch.load(pretrained / 'classifier' / 'epoch_1.pth', weights_only=True)
    tau = content['state_dict']['backbone.warehouses.temperature']
    assert tau == pytest.approx(0.5)
    assert backbone_from(pretrained / 'classifier' / 'epoch_1.pth')['warehouses.temperature'] == tau


def test_it_is_fine_tuned_and_scored(pretrained):
    settings = [f'model.backbone.init_cfg.{key}={value}' for key, value in INIT.items()]
    settings += ['model.backbone.init_cfg.checkpoint=classifier/epoch_3.pth']
    once = ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1']
    options = ('--work-dir', 'detector', '--cfg-options', *settings, *once)
    log = run_tool('train.py', TINY_MASK_RCNN, *options, cwd=pretrained)
    found = metrics(log, 'val')
    # -1 would mean that there was nothing to count.
    assert all(0 <= float(found[f'coco/{kind}_mAP']) <= 1 for kind in ('bbox', 'segm'))
    before, after = (saved(pretrained / path) for path in ('classifier/epoch_3.pth', 'detector/epoch_1.pth'))
    assert not torch.equal(before['warehouses.stage3'], after['warehouses.stage3'])
    assert after['warehouses.temperature'] == 0
