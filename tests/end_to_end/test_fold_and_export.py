"""The tools make files for deployment from a trained detector, as a user runs them."""

import re

import onnxruntime
import pytest
import torch
from mmdet.apis import inference_detector

from mmkw.config import read_config
from mmkw.engine.predict import load_detector
from mmkw.export import take_features_from_onnx
from running import TINY_MASK_RCNN, run_tool

pytestmark = pytest.mark.slow

PLAIN = f"""
_base_ = ['{TINY_MASK_RCNN}']
model = dict(
    backbone=dict(_delete_=True, type='mmdet.ResNet', depth=18, stem_channels=16, base_channels=16),
)
"""


@pytest.fixture(scope='module')
def folded(trained):
    """Config of the stock detector, and the output of folding."""
    config = trained / 'plain.py'
    config.write_text(PLAIN)
    options = ('--mean', '--batches', '2', '--plain-config', config)
    return config, run_tool('fold.py', TINY_MASK_RCNN, 'whole/epoch_4.pth', 'plain.pth', *options, cwd=trained)


def test_a_stock_detector_loads_the_file_whole_and_has_the_reported_metrics(trained, folded):
    config, log = folded
    assert re.search(r'over 2 batches of the train set: \d', log)
    reported = re.findall(r'^(coco/\S+): \S+ before, \S+ folded$', log, re.MULTILINE)
    tested = run_tool('test.py', config, 'plain.pth', '--work-dir', 'plain', cwd=trained)
    assert 'Load checkpoint from plain.pth' in tested
    assert 'do not match exactly' not in tested and 'missing keys' not in tested
    last = [line for line in tested.splitlines() if 'Epoch(test)' in line][-1]
    assert reported == re.findall(r'(coco/\S+): ', last) != []


def test_folding_at_another_temperature_says_what_to_do(trained):
    log = run_tool('fold.py', TINY_MASK_RCNN, 'whole/epoch_4.pth', 'other.pth', cwd=trained, status=1)
    assert 'depends on the input (tau = 0)' in log and 'Traceback' not in log
    assert not (trained / 'other.pth').exists()


def test_the_backbone_is_exported_and_the_detector_refused(trained):
    arguments = (TINY_MASK_RCNN, 'whole/epoch_4.pth', 'backbone.onnx')
    log = run_tool('export_onnx.py', *arguments, cwd=trained, status=1)
    assert 'error: a whole MaskRCNN cannot be exported' in log and 'Traceback' not in log
    assert not (trained / 'backbone.onnx').exists()
    log = run_tool('export_onnx.py', *arguments, '--backbone', '--dynamic', '--shape', 64, 64, cwd=trained)
    assert re.search(r'largest difference of onnxruntime from torch: \d', log)
    session = onnxruntime.InferenceSession(trained / 'backbone.onnx', providers=['CPUExecutionProvider'])
    assert session.get_inputs()[0].shape == ['batch', 3, 64, 64]


def test_a_detector_finds_the_same_with_features_from_onnxruntime(trained):
    options = ('features.onnx', '--neck', '--shape', 64, 64)
    run_tool('export_onnx.py', TINY_MASK_RCNN, 'whole/epoch_4.pth', *options, cwd=trained)
    detector, pipeline = load_detector(read_config(TINY_MASK_RCNN), trained / 'whole' / 'epoch_4.pth', 'cpu')
    images = sorted(map(str, (trained / 'shapes' / 'val').iterdir()))
    expected = [inference_detector(detector, image, pipeline).pred_instances for image in images]
    assert sum(map(len, expected)) > 10
    take_features_from_onnx(detector, trained / 'features.onnx')
    for image, ours in zip(images, expected):
        theirs = inference_detector(detector, image, pipeline).pred_instances
        assert torch.equal(theirs.labels, ours.labels)
        torch.testing.assert_close(theirs.scores, ours.scores, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(theirs.bboxes, ours.bboxes, rtol=0, atol=0.01)
        assert (theirs.masks != ours.masks).float().mean() < 0.001
    with pytest.raises(ValueError, match=r'shape \(1, 3, 64, 64\), got \(1, 3, 64, 96\): pad all to this size'):
        detector.extract_feat(torch.zeros(1, 3, 64, 96))
