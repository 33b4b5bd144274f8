"""Each of the ten methods goes into stock configs by the one dict that README shows, and trains a step."""

import re
from pathlib import Path

import pytest
import torch
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmpretrain.structures import DataSample

from mmkw.layers import dynamic_layers
from mmkw.plans.registry import METHODS

README = Path(__file__).parents[2] / 'README.md'
EXAMPLE = re.search(r'## Ten methods.*?```python\n(.*?)```', README.read_text(), re.DOTALL)[1]
NAMES = ['SE', 'CBAM', 'ECA', 'CGC', 'WeightNet', 'CondConv', 'DYConv', 'DCD', 'ODConv', 'KernelWarehouse']


def test_these_are_all_methods_and_the_example_names_them():
    assert set(METHODS) == set(NAMES)
    assert all(name in EXAMPLE for name in NAMES)


@pytest.fixture
def stock(tmp_path):
    def build(base, method):
        """The stock config with the example's backbone; narrower, which is no matter of the method."""
        path = tmp_path / 'config.py'
        path.write_text(f"_base_ = '{base}'\n{EXAMPLE}")
        cfg = Config.fromfile(path)
        cfg.model.backbone.method = dict(type=method)
        cfg.model.backbone.backbone.update(stem_channels=16, base_channels=16)
        if 'in_channels' in cfg.model.neck:  # a detector
            cfg.model.neck.in_channels = [64, 128, 256, 512]
        else:
            cfg.model.head.in_channels = 512
        init_default_scope(cfg.default_scope)
        torch.manual_seed(0)
        return MODELS.build(cfg.model).train()

    return build


def check_step(model, losses):
    loss, _ = model.parse_losses(losses)
    loss.backward()
    assert torch.isfinite(loss)
    layers = dynamic_layers(model.backbone)
    assert layers
    for name, parameter in model.backbone.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    assert any(p.grad.any() for layer in layers.values() for p in layer.parameters())


@pytest.mark.parametrize('method', NAMES)
def test_a_classifier_trains(stock, method):
    model = stock('mmpretrain::resnet/resnet50_8xb32_in1k.py', method)
    samples = [DataSample().set_gt_label(label) for label in (3, 7)]
    check_step(model, model.loss(torch.randn(2, 3, 64, 64), samples))


@pytest.mark.parametrize('method', NAMES)
def test_a_detector_trains(stock, method):
    model = stock('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py', method)
    batch = demo_mm_inputs(2, [[3, 64, 64], [3, 64, 64]])
    check_step(model, model(**model.data_preprocessor(batch, True), mode='loss'))
