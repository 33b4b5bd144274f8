"""predict.py on the trained detector, as a user runs it, and scored as test.py scores it."""

import json
import re

import cv2
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import predict
from running import TINY_CLASSIFIER, TINY_MASK_RCNN, run_tool

pytestmark = pytest.mark.slow

CLASSES = ('disk', 'square', 'triangle', 'star', 'ring')


def run_predict(folder, *images_and_options, status=0):
    return run_tool('predict.py', TINY_MASK_RCNN, 'whole/epoch_4.pth', *images_and_options, cwd=folder, status=status)


@pytest.fixture(scope='module')
def predicted(trained):
    """Results for the images of the validation set, by file names."""
    printed = run_predict(trained, 'shapes/val', '--out-dir', 'named', '--score-thr', 0)
    results = json.loads((trained / 'named' / 'predictions.json').read_text())
    assert f'named/predictions.json: {len(results)} objects in 4 images' in printed
    return results


@pytest.fixture(scope='module')
def annotations(trained, predicted):
    """Annotations that the detector meets partly: every second of its results, moved by a pixel, with ids of all sorts.

    A network trained for seconds would score 0 on the true ones.
    """
    files = sorted({result['file_name'] for result in predicted})
    images = [dict(id=70 - number, file_name=name, height=64, width=64) for number, name in enumerate(files)]
    ids = {image['file_name']: image['id'] for image in images}
    categories = [dict(id=90 - 7 * label, name=name) for label, name in enumerate(CLASSES)]
    categories.insert(2, dict(id=1, name='cat'))
    entries = []
    for number, result in enumerate(predicted[::2], 1):
        x, y, width, height = result['bbox']
        entry = dict(
            id=number,
            image_id=ids[result['file_name']],
            category_id=90 - 7 * result['category_id'],
            bbox=[x + 1, y, width, height],
            area=width * height,
            iscrowd=0,
            segmentation=result['segmentation'],
        )
        entries.append(entry)
    content = dict(info={}, images=images, categories=categories, annotations=entries)
    (trained / 'made.json').write_text(json.dumps(content))
    return trained / 'made.json'


def test_results_have_boxes_classes_and_masks_of_the_image(trained, predicted):
    assert {result['file_name'] for result in predicted} <= {path.name for path in (trained / 'shapes/val').iterdir()}
    assert {result['category_id'] for result in predicted} <= set(range(5))
    assert all(coco_mask.decode(result['segmentation']).shape == (64, 64) for result in predicted)
    assert any(coco_mask.area(result['segmentation']) for result in predicted)


def test_every_image_is_drawn(trained, predicted):
    drawn = sorted((trained / 'named' / 'pictures').iterdir())
    assert [path.name for path in drawn] == [f'{number:06}.png' for number in range(4)]
    seen = {result['file_name'] for result in predicted}
    for path in drawn:
        before, after = cv2.imread(str(trained / 'shapes' / 'val' / path.name)), cv2.imread(str(path))
        assert before.shape == after.shape
        assert (path.name in seen) == (before != after).any()


def test_pycocotools_scores_the_results_as_test_py_does(trained, annotations):
    options = ('--out-dir', 'scored', '--annotations', annotations, '--no-pictures')
    run_predict(trained, 'shapes/val', *options)
    assert [path.name for path in (trained / 'scored').iterdir()] == ['predictions.json']
    changes = (
        'test_dataloader.dataset.data_root=',
        'test_dataloader.dataset.data_prefix.img=shapes/val',
        f'test_dataloader.dataset.ann_file={annotations}',
        f'test_evaluator.ann_file={annotations}',
    )
    log = run_tool('test.py', TINY_MASK_RCNN, 'whole/epoch_4.pth', '--cfg-options', *changes, cwd=trained)
    truth = COCO(annotations)
    for kind in ('bbox', 'segm'):
        scores = COCOeval(truth, truth.loadRes(str(trained / 'scored' / 'predictions.json')), kind)
        scores.evaluate()
        scores.accumulate()
        scores.summarize()
        for name, score in zip(('mAP', 'mAP_50', 'mAP_75'), scores.stats):
            (theirs,) = re.findall(rf'coco/{kind}_{name}: (\S+)', log)
            assert float(theirs) == pytest.approx(score, abs=6e-4)  # printed with three digits
        assert scores.stats[0] > 0.1


def test_damaged_images_are_named_and_left_out(trained, tmp_path):
    whole = (trained / 'shapes' / 'val' / '000002.png').read_bytes()
    (tmp_path / 'whole.png').write_bytes(whole)
    (tmp_path / 'half.png').write_bytes(whole[: len(whole) // 2])
    (tmp_path / 'text.jpg').write_text('no image')
    printed = run_predict(trained, tmp_path, '--out-dir', 'damaged', status=3)
    assert re.search(rf'^skipped {tmp_path}/half.png: .*truncated', printed, re.MULTILINE)
    assert f'skipped {tmp_path}/text.jpg: it cannot be read as an image' in printed
    assert '2 of 3 images could not be read' in printed and 'Traceback' not in printed
    results = json.loads((trained / 'damaged' / 'predictions.json').read_text())
    assert {result['file_name'] for result in results} == {'whole.png'}
    assert [path.name for path in (trained / 'damaged' / 'pictures').iterdir()] == ['whole.png']


@pytest.mark.parametrize(
    'config, images, message',
    [
        (TINY_MASK_RCNN, 'empty', 'empty holds no image'),
        (TINY_MASK_RCNN, 'broken', 'No image could be read, and nothing was written'),
        (TINY_MASK_RCNN, 'shapes/val', 'fewer.json does not have 1 of the 5 classes of the detector: disk;'),
        (TINY_CLASSIFIER, 'shapes/val', 'describes ImageClassifier, which is no detector'),
    ],
    ids=['empty folder', 'no readable image', 'unknown class', 'classifier'],
)
def test_what_cannot_work_writes_nothing(trained, annotations, config, images, message, monkeypatch):
    monkeypatch.chdir(trained)
    for folder in ('empty', 'broken'):
        (trained / folder).mkdir(exist_ok=True)
    (trained / 'broken' / 'text.png').write_text('no image')
    content = json.loads(annotations.read_text())
    del content['categories'][0]
    (trained / 'fewer.json').write_text(json.dumps(content))
    options = ['--annotations', 'fewer.json'] if 'fewer' in message else []
    with pytest.raises(SystemExit, match=message):
        predict.main([str(config), 'whole/epoch_4.pth', images, '--out-dir', 'refused', *options])
    assert not (trained / 'refused').exists()
