"""The COCO recipe is the published one; what it does is compared: rates, decay, image sizes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, PARAM_SCHEDULERS, init_default_scope
from torch import nn

CONFIG = Path(__file__).parents[2] / 'configs' / 'mask_rcnn_kw_r50_1x_coco.py'


@pytest.fixture(scope='module')
def cfg():
    cfg = Config.fromfile(CONFIG)
    init_default_scope(cfg.default_scope)
    return cfg


@pytest.fixture(scope='module')
def model(cfg):
    return MODELS.build(cfg.model).train()


def test_only_the_attentions_norms_do_not_decay(cfg, model):
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    decay = {id(p): group['weight_decay'] for group in groups for p in group['params']}
    trained = {name: decay[id(p)] for name, p in model.named_parameters() if p.requires_grad}
    undecayed = {name for name, value in trained.items() if value == 0}
    assert undecayed == {name for name in trained if '.attention.norm1.' in name}
    assert set(trained.values()) == {0.0, 0.05}


def test_learning_rate_over_twelve_epochs(cfg):
    weights = nn.Linear(1, 1)
    optimizer = build_optim_wrapper(weights, cfg.optim_wrapper).optimizer
    schedulers = [PARAM_SCHEDULERS.build(dict(s), default_args=dict(optimizer=optimizer)) for s in cfg.param_scheduler]
    rates, iterations = [], 600
    for _ in range(cfg.train_cfg.max_epochs):
        for _ in range(iterations):
            rates.append(optimizer.param_groups[0]['lr'])
            optimizer.step()
            schedulers[0].step()
        schedulers[1].step()
    assert rates[0] == pytest.approx(1e-7)
    assert rates[499] == pytest.approx(1e-4)
    assert rates[250] == pytest.approx(1e-4 * (0.001 + 0.999 * 250 / 499))
    assert [rates[epoch * iterations + 550] for epoch in (0, 7, 8, 10, 11)] == pytest.approx(
        [1e-4, 1e-4, 1e-5, 1e-5, 1e-6]
    )
    assert len(rates) == 12 * iterations


def test_batch_of_sixteen(cfg):
    assert (cfg.train_dataloader.batch_size, cfg.auto_scale_lr.base_batch_size) == (2, 16)


def sizes(pipeline, times):
    """The sizes to which the pipeline brings a 480 x 640 image."""
    steps = [step for step in pipeline if not step['type'].startswith(('Load', 'Pack'))]
    run = Compose([TRANSFORMS.build(step) for step in steps])
    found = set()
    for _ in range(times):
        results = run(
            dict(
                img=np.zeros((480, 640, 3), np.uint8),
                img_shape=(480, 640),
                gt_bboxes=HorizontalBoxes(torch.tensor([[10.0, 10.0, 300.0, 300.0]])),
                gt_bboxes_labels=np.zeros(1, int),
                gt_ignore_flags=np.zeros(1, bool),
                gt_masks=BitmapMasks(np.ones((1, 480, 640), np.uint8), 480, 640),
            )
        )
        found.add(results['img'].shape[:2])
    return found


@pytest.fixture(scope='module')
def train_sizes(cfg):
    np.random.seed(0)
    return sizes(cfg.train_pipeline, 60)


def test_training_sizes(train_sizes):
    scales = set(range(480, 801, 32))
    assert all(max(size) <= 1333 and (min(size) in scales or max(size) == 1333) for size in train_sizes)
    assert {min(size) for size in train_sizes} >= scales


def test_half_of_the_training_images_are_cropped(train_sizes):
    whole = {size for size in train_sizes if abs(size[1] / size[0] - 640 / 480) < 0.01}
    assert 5 <= len(whole) <= 11 < len(train_sizes)


def test_testing_size(cfg):
    assert sizes(cfg.test_pipeline[:2], 1) == {(800, 1067)}


def test_images_of_the_loader_take_the_augmentation(cfg):
    assert cfg.train_dataloader.dataset.pipeline == cfg.train_pipeline


def test_stochastic_depth_is_the_same_everywhere(model):
    rates = {m.drop_path.drop_prob for m in model.backbone.modules() if hasattr(m, 'drop_path')}
    assert rates == {0.1}


def test_norms_use_their_running_statistics(model):
    norms = [m for m in model.backbone.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))]
    assert not any(norm.training for norm in norms)


def test_stem_and_first_stage_are_frozen(model):
    trained = {name.split('.')[0] for name, p in model.backbone.named_parameters() if p.requires_grad}
    assert trained == {'layer2', 'layer3', 'layer4', 'warehouses'}


def test_the_temperature_is_zero(model):
    assert model.backbone.warehouses.temperature == 0


def test_epochs_are_seeded(cfg):
    assert dict(type='EpochSeedHook') in cfg.custom_hooks


def test_a_written_down_config_reads_the_same(cfg, tmp_path):
    cfg.dump(tmp_path / 'dump.py')
    assert Config.fromfile(tmp_path / 'dump.py').to_dict() == cfg.to_dict()
