"""Configs of MMDetection and MMPretrain take a KW backbone by one import and one ``backbone=dict(...)``."""

import pytest
import torch
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from mmkw.layers import KWConvNd

KW_RESNET = """
custom_imports = dict(imports=['mmkw'], allow_failed_imports=False)
model = dict(backbone=dict(
    _delete_=True, type='KWResNet', depth=18, budget='1/2x', out_indices=(0, 1, 2, 3), frozen_stages=1, norm_eval=True),
    neck=dict(in_channels=[64, 128, 256, 512]))
"""
KW_MOBILENET = """
custom_imports = dict(imports=['mmkw'], allow_failed_imports=False)
model = dict(
    backbone=dict(_delete_=True, type='KWMobileNetV2', budget='1x', out_indices=(1, 2, 4, 7)),
    neck=dict(in_channels=[24, 32, 96, 1280]))
"""


def build(tmp_path, base, text):
    path = tmp_path / 'config.py'
    path.write_text(f"_base_ = '{base}'\n{text}")
    cfg = Config.fromfile(path)
    init_default_scope(cfg.default_scope)
    return MODELS.build(cfg.model).train()


@pytest.mark.parametrize(
    'base, text',
    [
        ('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py', KW_RESNET),
        ('mmdet::cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py', KW_RESNET),
        ('mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py', KW_MOBILENET),
    ],
    ids=['RetinaNet', 'Cascade Mask R-CNN', 'Faster R-CNN'],
)
def test_detectors_train(tmp_path, base, text):
    torch.manual_seed(0)
    model = build(tmp_path, base, text)
    batch = demo_mm_inputs(2, [[3, 64, 64], [3, 64, 64]], with_mask=True)
    losses = model(**model.data_preprocessor(batch, True), mode='loss')
    loss, _ = model.parse_losses(losses)
    loss.backward()
    layer = next(layer for layer in model.backbone.modules() if isinstance(layer, KWConvNd))
    assert torch.isfinite(loss)
    assert layer.cells.grad.any()


def test_a_classifier_trains(tmp_path):
    text = """
custom_imports = dict(imports=['mmkw'], allow_failed_imports=False)
model = dict(backbone=dict(_delete_=True, type='KWResNet', depth=50, budget='1/2x'))
"""
    model = build(tmp_path, 'mmpretrain::resnet/resnet50_8xb32_in1k.py', text)
    logits = model(torch.randn(2, 3, 64, 64), mode='tensor')
    logits.sum().backward()
    assert logits.shape == (2, 1000)
    assert all(p.grad is not None for p in model.parameters())
