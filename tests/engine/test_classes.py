"""Classes of annotations, data sets and heads that differ are refused before a run starts."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmdet.datasets import CocoDataset
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmengine.registry import MODELS, DefaultScope
from mmpretrain.datasets import CustomDataset
from torch import nn

from mmkw.config import LaunchError
from mmkw.engine import check_classes

NAMES = ('disk', 'square', 'star')


@pytest.fixture(scope='module')
def annotations(tmp_path_factory):
    """A COCO file with an object of each category, whose numbers are not in the order of the categories."""
    path = tmp_path_factory.mktemp('classes') / 'instances.json'
    categories = [dict(id=number, name=name) for number, name in zip((7, 2, 5), NAMES)]
    objects = [
        dict(id=number, image_id=1, category_id=category['id'], bbox=[0, 0, 4, 4], area=16, iscrowd=0)
        for number, category in enumerate(categories, start=1)
    ]
    image = dict(id=1, file_name='1.png', width=8, height=8)
    path.write_text(json.dumps(dict(images=[image], annotations=objects, categories=categories)))
    return path


def coco(path, classes=None):
    metainfo = None if classes is None else dict(classes=classes)
    return CocoDataset(
        ann_file=str(path), data_prefix=dict(img=''), metainfo=metainfo, pipeline=[], serialize_data=False
    )


def loop(dataset):
    return SimpleNamespace(dataloader=SimpleNamespace(dataset=dataset))


def runner_of(train, val=None, model=None):
    warned = []
    return SimpleNamespace(
        model=model or nn.Module(),
        train_loop=loop(train),
        val_loop=None if val is None else loop(val),
        test_loop=loop(train),
        logger=SimpleNamespace(warning=warned.append),
        warned=warned,
    )


@given(st.lists(st.sampled_from([*NAMES, 'ring']), min_size=1, max_size=4, unique=True))
def test_every_object_is_called_by_its_name_or_the_run_is_refused(annotations, classes):
    dataset = coco(annotations, tuple(classes))
    try:
        check_classes(runner_of(dataset))
    except LaunchError:
        assert classes != [name for name in NAMES if name in classes]
    else:
        found = [classes[instance['bbox_label']] for instance in dataset.get_data_info(0)['instances']]
        assert found == [name for name in NAMES if name in classes]


def test_a_name_that_no_category_has(annotations):
    with pytest.raises(LaunchError, match=r"train_dataloader: no category .* 'ring'\. It has 'disk', 'square', 'star'"):
        check_classes(runner_of(coco(annotations, ('disk', 'ring'))))


def test_coco_s_own_classes_on_other_data(annotations):
    with pytest.raises(LaunchError, match="'person', .* and 72 more"):
        check_classes(runner_of(coco(annotations)))


def test_one_name_without_a_comma(annotations):
    with pytest.raises(LaunchError, match=r"written with a comma, \('disk',\)"):
        check_classes(runner_of(coco(annotations, ('disk'))))


@pytest.mark.parametrize(
    'stage, part, wrap',
    [
        ('train', 'val', lambda dataset: RepeatDataset(dataset, times=2)),
        ('test', 'test', lambda dataset: ConcatDataset([dataset])),
    ],
)
def test_every_loader_and_what_wraps_a_data_set_is_looked_at(annotations, stage, part, wrap):
    wrong = wrap(coco(annotations, ('star', 'disk')))
    runner = runner_of(coco(annotations, NAMES), val=wrong)
    runner.test_loop = loop(wrong)
    with pytest.raises(LaunchError, match=f'{part}_dataloader: classes must be in the order'):
        check_classes(runner, stage)


def test_categories_that_are_left_out_are_named(annotations):
    runner = runner_of(coco(annotations, ('disk', 'star')))
    check_classes(runner)
    assert runner.warned == ["train_dataloader: objects of 'square' are left out, since classes does not name them."]


def cascade(boxes, masks):
    model = nn.Module()
    model.rpn_head = SimpleModule(1)
    model.roi_head = nn.Module()
    model.roi_head.bbox_head = nn.ModuleList([SimpleModule(3), SimpleModule(boxes)])
    model.roi_head.mask_head = SimpleModule(masks)
    return model


class SimpleModule(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.num_classes = num_classes


@pytest.mark.parametrize('boxes, masks, place', [(80, 3, r'bbox_head\.1'), (3, 1, 'mask_head')])
def test_a_detector_s_head_for_other_classes(annotations, boxes, masks, place):
    check_classes(runner_of(coco(annotations, NAMES), model=cascade(3, 3)))
    with pytest.raises(LaunchError, match=rf'model\.roi_head\.{place}\.num_classes .* set num_classes=3 there'):
        check_classes(runner_of(coco(annotations, NAMES), model=cascade(boxes, masks)))


def folders(path, *kinds):
    for kind in kinds:
        (path / kind).mkdir(parents=True)
        cv2.imwrite(str(path / kind / '0.png'), np.zeros((4, 4, 3), np.uint8))
    return CustomDataset(data_root=str(path))


def classifier(num_classes):
    head = dict(type='LinearClsHead', num_classes=num_classes, in_channels=8)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(dict(type='ImageClassifier', backbone=dict(type='LeNet5'), head=head))


def test_class_folders_of_another_split(tmp_path):
    train, val = folders(tmp_path / 'train', 'cat', 'dog', 'fox'), folders(tmp_path / 'val', 'cat', 'fox')
    check_classes(runner_of(train, train, classifier(1000)))
    with pytest.raises(LaunchError, match="'cat', 'dog', 'fox', val_dataloader 'cat', 'fox'"):
        check_classes(runner_of(train, val, classifier(3)))


def test_a_classifier_for_fewer_classes(tmp_path):
    with pytest.raises(LaunchError, match=r'model\.head\.num_classes is 2, and train_dataloader has 3 classes'):
        check_classes(runner_of(folders(tmp_path, 'cat', 'dog', 'fox'), model=classifier(2)))
