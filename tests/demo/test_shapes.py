"""The generated data set, read by pycocotools and by mmdet."""

import hashlib
import json

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from mmkw.demo import shapes

SIZE, TRAIN, VAL = 128, 30, 22


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp('data') / 'shapes'
    shapes.generate(out, seed=3, train=TRAIN, val=VAL, size=SIZE)
    return out


@pytest.fixture(scope='module', params=shapes.SPLITS)
def split(request, folder):
    return folder / request.param, COCO(folder / 'annotations' / f'instances_{request.param}.json')


def digest(folder):
    files = sorted(path for path in folder.rglob('*') if path.is_file())
    return [(str(path.relative_to(folder)), hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]


def objects_of(coco, image):
    return coco.loadAnns(coco.getAnnIds(imgIds=image))


def test_every_image_is_there_in_its_stated_size(split):
    pictures, coco = split
    for image in coco.loadImgs(coco.getImgIds()):
        picture = cv2.imread(str(pictures / image['file_name']))
        assert picture.shape == (image['height'], image['width'], 3) == (SIZE, SIZE, 3)


def test_segmentations_decode_to_the_drawn_pixels(folder, split):
    pictures, coco = split
    number = shapes.SPLITS.index(pictures.name)
    for index, image in enumerate(coco.loadImgs(sorted(coco.getImgIds()))):
        picture, drawn = shapes.draw([3, number, index], SIZE, index)
        assert np.array_equal(cv2.imread(str(pictures / image['file_name'])), picture)
        decoded = [coco.annToMask(item) for item in objects_of(coco, image['id'])]
        assert len(decoded) == len(drawn)
        for mask, item in zip(decoded, drawn):
            assert np.array_equal(mask, item['mask'])


def test_a_shape_is_painted_on_its_mask_alone(monkeypatch):
    """If every texture is a single colour, each mask must be exactly the pixels of one colour."""
    monkeypatch.setattr(shapes, '_texture', lambda rng, size, colour, contrast: np.tile(colour, (size, size, 1)))
    picture, drawn = shapes.draw([3, 0, 0], SIZE, 0)
    assert len(drawn) >= 3
    colours, numbers = np.unique(picture.reshape(-1, 3), axis=0, return_inverse=True)
    assert len(colours) == len(drawn) + 1
    for item in drawn:
        number = numbers.reshape(SIZE, SIZE)[item['mask']][0]
        assert np.array_equal(numbers.reshape(SIZE, SIZE) == number, item['mask'])


def test_masks_of_an_image_share_no_pixel(split):
    _, coco = split
    for image in coco.getImgIds():
        masks = [coco.annToMask(item) for item in objects_of(coco, image)]
        assert np.sum(masks, axis=0).max(initial=0) <= 1


def test_some_shape_covers_another():
    """A covered shape has lost pixels of its outline: some mask touches a mask that lies above it."""
    touching = 0
    for index in range(10):
        _, drawn = shapes.draw([3, 0, index], SIZE, index)
        for above, item in enumerate(drawn):
            grown = cv2.dilate(item['mask'].astype(np.uint8), np.ones((3, 3)))
            touching += sum((grown & below['mask']).any() for below in drawn[above + 1 :])
    assert touching


def test_bbox_and_area_are_those_of_the_mask(split):
    _, coco = split
    for item in coco.anns.values():
        mask = coco.annToMask(item)
        rows, columns = np.nonzero(mask)
        assert item['area'] == mask.sum()
        x, y = columns.min(), rows.min()
        assert item['bbox'] == [x, y, columns.max() + 1 - x, rows.max() + 1 - y]


def test_hidden_shapes_are_dropped(split):
    assert min(item['area'] for item in split[1].anns.values()) >= 40


def test_has_crowds_as_uncompressed_rle(split):
    crowds = [item for item in split[1].anns.values() if item['iscrowd']]
    assert crowds
    assert all(isinstance(item['segmentation']['counts'], list) for item in crowds)


def test_has_images_without_objects(split):
    _, coco = split
    assert any(not objects_of(coco, image) for image in coco.getImgIds())


def test_has_small_and_large_objects(split):
    areas = [item['area'] for item in split[1].anns.values() if not item['iscrowd']]
    assert min(areas) < 20**2
    assert max(areas) > 80**2


def test_has_every_class(split):
    _, coco = split
    assert [category['name'] for category in coco.loadCats(coco.getCatIds())] == list(shapes.CLASSES)
    assert {item['category_id'] for item in coco.anns.values()} == set(coco.getCatIds())


def test_no_image_is_in_both_splits(folder):
    train, val = ({name_and_hash[1] for name_and_hash in digest(folder / split)} for split in shapes.SPLITS)
    assert not train & val


def test_same_seed_same_bytes(folder, tmp_path):
    shapes.generate(tmp_path / 'again', seed=3, train=TRAIN, val=VAL, size=SIZE)
    assert digest(tmp_path / 'again') == digest(folder)


def test_other_seed_other_images(tmp_path):
    for seed in (0, 1):
        shapes.generate(tmp_path / str(seed), seed, train=2, val=2)
    first, second = ({sha for _, sha in digest(tmp_path / str(seed))} for seed in (0, 1))
    assert not first & second


def test_more_images_leave_the_first_as_they_are(tmp_path):
    shapes.generate(tmp_path / 'few', train=2, val=2)
    shapes.generate(tmp_path / 'more', train=4, val=2)
    assert digest(tmp_path / 'more' / 'train')[:2] == digest(tmp_path / 'few' / 'train')


def test_second_run_does_nothing(tmp_path):
    assert shapes.generate(tmp_path / 'out', train=2, val=2)
    before = (tmp_path / 'out').stat().st_ino
    assert not shapes.generate(tmp_path / 'out', train=2, val=2)
    assert (tmp_path / 'out').stat().st_ino == before


def test_other_arguments_replace_the_folder(tmp_path):
    shapes.generate(tmp_path / 'out', train=4, val=2)
    assert shapes.generate(tmp_path / 'out', train=2, val=2)
    assert len(list((tmp_path / 'out' / 'train').iterdir())) == 2
    assert [path.name for path in tmp_path.iterdir()] == ['out']


def test_an_older_generators_folder_is_replaced(tmp_path, monkeypatch):
    shapes.generate(tmp_path / 'out', train=2, val=2)
    monkeypatch.setattr(shapes, '_VERSION', shapes._VERSION + 1)
    assert shapes.generate(tmp_path / 'out', train=2, val=2)


@pytest.mark.parametrize('file', ['photo.jpg', 'annotations/instances_train.json'])
def test_a_foreign_folder_is_left_alone(tmp_path, file):
    path = tmp_path / 'out' / file
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(dict(info=dict(description='COCO 2017'))))
    before = digest(tmp_path)
    with pytest.raises(FileExistsError, match='out holds files'):
        shapes.generate(tmp_path / 'out', train=2, val=2)
    assert digest(tmp_path) == before


def test_files_added_to_the_folder_are_not_lost(tmp_path):
    shapes.generate(tmp_path / 'out', train=2, val=2)
    (tmp_path / 'out' / 'notes.txt').write_text('mine')
    with pytest.raises(FileExistsError, match='out holds files'):
        shapes.generate(tmp_path / 'out', train=3, val=2)
    assert (tmp_path / 'out' / 'notes.txt').read_text() == 'mine'


def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    def disk_full(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(shapes, '_annotation', disk_full)
    with pytest.raises(KeyboardInterrupt):
        shapes.generate(tmp_path / 'out', train=2, val=2)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('name, value', [('seed', -1), ('train', -5), ('train', 1), ('val', 0), ('size', 63)])
def test_bad_arguments_are_named(tmp_path, name, value):
    with pytest.raises(ValueError, match=f'{name} must be at least .*, got {value}'):
        shapes.generate(tmp_path / 'out', **{name: value})
    assert not list(tmp_path.iterdir())


def test_mmdet_loads_the_same_masks(folder):
    from mmdet.registry import DATASETS
    from mmdet.utils import register_all_modules

    register_all_modules()
    dataset = DATASETS.build(
        dict(
            type='CocoDataset',
            ann_file=str(folder / 'annotations' / 'instances_val.json'),
            data_prefix=dict(img=str(folder / 'val')),
            metainfo=dict(classes=shapes.CLASSES),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
            ],
        )
    )
    for index in range(VAL):
        picture, drawn = shapes.draw([3, 1, index], SIZE, index)
        item = dataset[index]
        assert np.array_equal(item['img'], picture)
        assert item['gt_ignore_flags'].tolist() == [shape['crowd'] for shape in drawn]
        assert item['gt_bboxes_labels'].tolist() == [shape['label'] for shape in drawn]
        masks = np.reshape([shape['mask'] for shape in drawn], (-1, SIZE, SIZE))
        assert np.array_equal(item['gt_masks'].masks.reshape(-1, SIZE, SIZE), masks)
