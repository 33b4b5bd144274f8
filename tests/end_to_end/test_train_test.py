"""Train and evaluate with the tools, as a user does."""

import pickle
import re

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from running import TINY_CLASSIFIER, TINY_MASK_RCNN, free_port, run_tool

pytestmark = pytest.mark.slow


def metrics(log, stage):
    """The metrics of the last evaluation, by name."""
    last = [line for line in log.splitlines() if f'Epoch({stage})' in line][-1]
    return {name: value for name, value in re.findall(r'(\S+): (\S+)', last) if '/' in name}


@pytest.fixture(scope='module')
def tested(trained):
    """Output of tools/test.py on the trained detector, and the predictions."""
    options = ('--work-dir', 'test', '--out', 'predictions.pkl', '--show-dir', 'drawn')
    log = run_tool('test.py', TINY_MASK_RCNN, 'whole/epoch_4.pth', *options, cwd=trained)
    return log, pickle.loads((trained / 'predictions.pkl').read_bytes())


def test_box_and_mask_ap_are_those_of_the_validation(trained, tested):
    found = metrics(tested[0], 'test')
    assert {'coco/bbox_mAP', 'coco/segm_mAP'} <= found.keys()
    assert found == metrics((trained / 'log').read_text(), 'val')


def test_predictions_are_written(tested):
    assert len(tested[1]) == 4
    masks = [mask for image in tested[1] for mask in image['pred_instances']['masks']]
    assert masks
    assert coco_mask.decode(masks)[..., 0].shape == (64, 64)


def test_images_are_drawn(trained, tested):
    assert len(list((trained / 'test').glob('*/drawn/*.png'))) == 4


def test_the_config_is_kept_with_the_checkpoints(trained):
    assert {'tiny_mask_rcnn.py', 'epoch_4.pth', 'last_checkpoint'} <= {
        path.name for path in (trained / 'whole').iterdir()
    }


@pytest.mark.parametrize('tool, arguments', [('test.py', ()), ('train.py', ('--resume',))])
def test_a_checkpoint_of_another_budget_ends_in_one_sentence(trained, tool, arguments):
    options = ('whole/epoch_4.pth', '--work-dir', 'other', '--cfg-options', 'model.backbone.budget=2x')
    lines = run_tool(tool, TINY_MASK_RCNN, *arguments, *options, cwd=trained, status=1).splitlines()
    assert not any('Traceback' in line for line in lines)
    assert re.match('checkpoint whole/epoch_4.pth does not fit KWResNet: .* b = 1, .* b = 2, ', lines[-1])


def test_attention_over_each_picture_alone_trains_and_tests(trained):
    on = ('--cfg-options', 'model.backbone.attention_extent=picture')
    log = run_tool('train.py', TINY_MASK_RCNN, '--work-dir', 'extent', *on, 'train_cfg.max_epochs=1', cwd=trained)
    for images in (1, 4):
        options = (*on, f'test_dataloader.batch_size={images}')
        test = run_tool('test.py', TINY_MASK_RCNN, 'extent/epoch_1.pth', '--work-dir', 'test', *options, cwd=trained)
        # All pictures have one size here, so the batch size changes nothing.
        assert metrics(test, 'test') == metrics(log, 'val')


def test_two_processes_train_and_test_a_detector(trained):
    options = ('--work-dir', 'two', '--cfg-options', 'env_cfg.dist_cfg.backend=gloo')
    once = ('train_cfg.max_epochs=1',)
    log = run_tool('dist_train.sh', TINY_MASK_RCNN, 2, *options, *once, cwd=trained, PORT=free_port())
    assert 'GPU number: 2' in log
    assert 'Epoch(val) [1][2/2]' in log  # 4 images
    tested = run_tool('dist_test.sh', TINY_MASK_RCNN, 'two/epoch_1.pth', 2, *options, cwd=trained, PORT=free_port())
    assert metrics(tested, 'test') == metrics(log, 'val')


def test_a_classifier_trains_and_tests(tmp_path):
    rng = np.random.default_rng(0)
    for name, shade in (('dark', 40), ('light', 160)):
        (tmp_path / 'images' / name).mkdir(parents=True)
        for number in range(4):
            image = (shade + 60 * rng.random((32, 32, 3))).astype(np.uint8)
            cv2.imwrite(str(tmp_path / 'images' / name / f'{number}.png'), image)
    log = run_tool('train.py', TINY_CLASSIFIER, '--work-dir', 'run', cwd=tmp_path)
    tested = run_tool('test.py', TINY_CLASSIFIER, 'run/epoch_3.pth', '--out', 'out.pkl', cwd=tmp_path)
    assert metrics(tested, 'test') == metrics(log, 'val') != {}
    assert len(pickle.loads((tmp_path / 'out.pkl').read_bytes())) == 8
