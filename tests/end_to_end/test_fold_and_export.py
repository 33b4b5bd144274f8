"""The tools make files for deployment from a trained detector, as a user runs them."""

import re

import onnxruntime
import pytest

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
