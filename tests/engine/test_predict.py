"""Images by name, ids from an annotation file, and damaged files."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData, PixelData
from pycocotools import mask as coco_mask

from mmkw.config import LaunchError, read_config
from mmkw.engine.predict import coco_results, find_images, identify, load_detector, read_image
from running import TINY_CLASSIFIER, TINY_MASK_RCNN


@pytest.fixture
def images(tmp_path):
    for name in ('b.jpg', 'a.PNG', 'sub/c.png', 'other/a.PNG'):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
        path.write_bytes(cv2.imencode(path.suffix, pixels)[1])
    (tmp_path / 'notes.txt').write_text('no image')
    (tmp_path / 'empty').mkdir()
    return tmp_path


def test_a_folder_gives_its_images_in_order(images):
    assert find_images([images, images / 'sub' / 'c.png', images / 'b.jpg']) == {
        'a.PNG': images / 'a.PNG',
        'b.jpg': images / 'b.jpg',
        'c.png': images / 'sub' / 'c.png',
    }


@pytest.mark.parametrize(
    'paths, message',
    [
        (['empty'], 'empty holds no image: no file in it ends in .jpg'),
        (['missing.png'], 'there is no file or folder .*missing.png'),
        (['.', 'other'], 'a.PNG and .*other/a.PNG have one name'),
    ],
)
def test_images_that_cannot_be_meant(images, paths, message):
    with pytest.raises(LaunchError, match=message):
        find_images([images / path for path in paths])


def test_without_annotations_files_and_class_numbers_stand_for_themselves():
    assert identify({'a.png': Path('x/a.png')}, ['disk', 'ring']) == ({'a.png': dict(file_name='a.png')}, [0, 1])


def annotated(folder, files, categories):
    content = dict(
        images=[dict(file_name=file, id=number) for number, file in enumerate(files, 7)],
        categories=[dict(name=name, id=10 * number) for number, name in enumerate(categories, 1)],
    )
    (folder / 'annotations.json').write_text(json.dumps(content))
    return folder / 'annotations.json'


def test_ids_are_those_of_the_annotations(tmp_path):
    file = annotated(tmp_path, ['val/a.png', 'a.png', 'b.png'], ['ring', 'cat', 'disk'])
    found = {'a.png': Path('some/val/a.png'), 'b.png': Path('b.png')}
    assert identify(found, ['disk', 'ring'], file) == ({'a.png': dict(image_id=7), 'b.png': dict(image_id=9)}, [30, 10])


@pytest.mark.parametrize(
    'found, classes, message',
    [
        ('a.png', ['disk', 'dog', 'owl'], 'does not have 2 of the 3 classes of the detector: dog, owl; .* disk, ring'),
        ('c.png', ['disk'], 'does not have 1 of the 1 images: x/c.png; leave'),
    ],
)
def test_what_the_annotations_do_not_have_is_refused(tmp_path, found, classes, message):
    with pytest.raises(LaunchError, match=message):
        identify({found: Path('x') / found}, classes, annotated(tmp_path, ['a.png'], ['disk', 'ring']))


@pytest.mark.parametrize('content', ['{', '[]', '{"images": [{"id": 1}], "categories": []}'])
def test_a_file_of_another_form_is_refused(tmp_path, content):
    (tmp_path / 'file.json').write_text(content)
    with pytest.raises(LaunchError, match='file.json cannot be read as annotations in COCO form'):
        identify({}, [], tmp_path / 'file.json')


@pytest.mark.parametrize('name', ['a.PNG', 'b.jpg'])
def test_an_image_is_read_whole_or_not_at_all(images, name):
    path = images / name
    assert np.array_equal(read_image(path), cv2.imread(str(path))[..., ::-1])
    path.write_bytes(path.read_bytes()[:-500])
    assert cv2.imread(str(path)) is None or cv2.imread(str(path)).shape == (40, 50, 3)
    with pytest.raises(ValueError, match='truncated'):
        read_image(path)


@pytest.mark.parametrize('content', [b'', b'no image at all'])
def test_what_is_no_image(tmp_path, content):
    (tmp_path / 'a.bmp').write_bytes(content)
    with pytest.raises(ValueError, match='it cannot be read as an image'):
        read_image(tmp_path / 'a.bmp')


def test_boxes_and_masks_are_written_in_cocos_form():
    mask = torch.zeros(1, 6, 8, dtype=torch.bool)
    mask[0, 1:3, 2:5] = True
    boxes = torch.tensor([[2.0, 1.0, 5.0, 3.0]])
    found = InstanceData(bboxes=boxes, labels=torch.tensor([1]), scores=torch.tensor([0.5]), masks=mask)
    (result,) = coco_results(DetDataSample(pred_instances=found), dict(image_id=7), [10, 30])
    assert json.loads(json.dumps(result)) == result
    segmentation = result.pop('segmentation')
    assert result == dict(image_id=7, category_id=30, bbox=[2, 1, 3, 2], score=0.5)
    assert np.array_equal(coco_mask.decode(segmentation), mask[0].numpy())


def test_a_sample_without_boxes_is_refused():
    with pytest.raises(LaunchError, match='gives no boxes but pred_panoptic_seg'):
        coco_results(DetDataSample(pred_panoptic_seg=PixelData()), dict(image_id=7), [])


def test_a_classifier_is_refused():
    with pytest.raises(LaunchError, match='tiny_classifier.py describes ImageClassifier, which is no detector'):
        load_detector(read_config(TINY_CLASSIFIER), 'none.pth', 'cpu')


def test_names_for_other_classes_are_refused():
    config = read_config(TINY_MASK_RCNN, {'test_dataloader.dataset.metainfo.classes': ('disk', 'ring')})
    with pytest.raises(LaunchError, match='roi_head.bbox_head tells 5 classes apart, and .* names 2: set'):
        load_detector(config, 'none.pth', 'cpu')
