"""A user who has not downloaded anything yet reads what is missing and where to get it."""

import pytest

from running import ROOT, run_tool

CONFIG = ROOT / 'configs' / 'mask_rcnn_kw_r50_1x_coco.py'


@pytest.mark.slow
def test_training_names_data_and_weights_first(tmp_path):
    lines = run_tool('train.py', CONFIG, cwd=tmp_path, status=1).splitlines()
    assert lines[:4] == [
        'missing: data/coco/annotations/instances_train2017.json',
        'missing: data/coco/train2017',
        'missing: data/coco/annotations/instances_val2017.json',
        'missing: data/coco/val2017',
    ]
    assert 'https://cocodataset.org' in lines[4]
    assert lines[5].endswith(f'{tmp_path}/data/coco/')
    assert lines[6] == 'missing: checkpoints/kw1x_resnet50.pth'
    assert 'https://github.com/OSVAI/KernelWarehouse' in lines[7]
    assert lines[8].endswith(f'{tmp_path}/checkpoints/kw1x_resnet50.pth')
    assert not any('Traceback' in line for line in lines)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_testing_names_the_checkpoint_but_no_training_data(tmp_path):
    output = run_tool('test.py', CONFIG, 'epoch_12.pth', cwd=tmp_path, status=1)
    assert 'missing: epoch_12.pth' in output
    assert 'val2017' in output
    assert 'train2017.json' not in output


@pytest.mark.parametrize(
    'script, usage', [('dist_train.sh', 'CONFIG GPUS'), ('dist_test.sh', 'CONFIG CHECKPOINT GPUS')]
)
def test_too_few_arguments(tmp_path, script, usage):
    assert usage in run_tool(script, CONFIG, cwd=tmp_path, status=2)
