"""Figures of a small made-up run; the tests check what the axes hold, not pixels."""

import json

import cv2
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from mmkw.demo import figures, shapes

TRAINING = [
    dict(loss=3.0, loss_cls=1.0, loss_bbox=0.4, loss_mask=1.0, loss_rpn_cls=0.5, loss_rpn_bbox=0.1, lr=0.1, step=10),
    dict(loss=2.0, loss_cls=0.5, loss_bbox=0.3, loss_mask=0.8, loss_rpn_cls=0.3, loss_rpn_bbox=0.1, lr=0.1, step=20),
]
VALIDATION = [
    {'coco/bbox_mAP': 0.2, 'coco/segm_mAP': 0.1, 'step': 1},
    {'coco/bbox_mAP': 0.6, 'coco/segm_mAP': 0.5, 'step': 2},
]


@pytest.fixture
def scalars(tmp_path):
    rows = [TRAINING[0], VALIDATION[0], TRAINING[1], VALIDATION[1]]
    path = tmp_path / 'scalars.json'
    path.write_text(''.join(json.dumps(row) + '\n' for row in rows))
    return figures.read_scalars(path)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    out = tmp_path_factory.mktemp('data') / 'shapes'
    shapes.generate(out, train=2, val=4)
    return out, COCO(out / 'annotations' / 'instances_val.json')


def predict(data, path, score=0.9):
    """Perfect predictions of everything but the crowds, as mmdet's CocoMetric writes them."""
    items = []
    for item in data[1].anns.values():
        if not item['iscrowd']:
            rle = coco_mask.encode(np.asfortranarray(data[1].annToMask(item)))
            rle['counts'] = rle['counts'].decode()
            known = {key: item[key] for key in ('image_id', 'category_id', 'bbox')}
            items.append(dict(known, segmentation=rle, score=score))
    path.write_text(json.dumps(items))
    return path


def draw(data, predictions, **kwargs):
    out, _ = data
    annotations = out / 'annotations' / 'instances_val.json'
    return figures.plot_predictions(annotations, out / 'val', predictions, **kwargs)


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_reads_steps_and_values(scalars):
    assert scalars['loss'] == [(10, 3.0), (20, 2.0)]
    assert scalars['coco/segm_mAP'] == [(1, 0.1), (2, 0.5)]


def test_a_cut_off_file_is_named(tmp_path):
    path = tmp_path / 'scalars.json'
    path.write_text('{"loss": 1.0, "step": 10}\n{"loss": 0.9, "st')
    with pytest.raises(ValueError, match='scalars.json, line 2'):
        figures.read_scalars(path)


def test_loss_curves(scalars):
    losses, _ = figures.plot_curves(scalars).axes
    curves = {line.get_label(): line.get_xydata().tolist() for line in losses.lines}
    assert curves['total'] == [[10, 3.0], [20, 2.0]]
    assert curves['mask'] == [[10, 1.0], [20, 0.8]]
    assert len(curves) == 6


def test_ap_curves(scalars):
    _, precision = figures.plot_curves(scalars).axes
    curves = {line.get_label(): line.get_xydata().tolist() for line in precision.lines}
    assert curves == {'box AP': [[1, 0.2], [2, 0.6]], 'mask AP': [[1, 0.1], [2, 0.5]]}


def test_the_last_ap_is_written_out(scalars):
    _, precision = figures.plot_curves(scalars).axes
    assert texts(precision) == ['0.600', '0.500']


def test_curves_without_validation():
    losses, precision = figures.plot_curves({'loss': [(10, 1.0), (20, 0.5)]}).axes
    assert len(losses.lines) == 1
    assert not precision.lines


def test_truth_and_prediction_stand_side_by_side(data, tmp_path):
    figure = draw(data, predict(data, tmp_path / 'segm.json'))
    titles = [axes.get_title() for axes in figure.axes[:4]]
    assert titles == [f'00000{number}.png, {kind}' for number in (0, 1) for kind in ('truth', 'prediction')]


def test_pictures_are_the_held_out_images(data, tmp_path):
    figure = draw(data, predict(data, tmp_path / 'segm.json'))
    picture = cv2.cvtColor(cv2.imread(str(data[0] / 'val' / '000000.png')), cv2.COLOR_BGR2RGB)
    for axes in figure.axes[:2]:
        assert np.array_equal(axes.images[0].get_array(), picture)


def test_true_shapes_are_labelled(data, tmp_path):
    _, coco = data
    names = {1: 'disk', 2: 'square', 3: 'triangle', 4: 'star', 5: 'ring'}
    truth = draw(data, predict(data, tmp_path / 'segm.json')).axes[0]
    items = coco.loadAnns(coco.getAnnIds(imgIds=1))
    expected = [f'crowd of {names[x["category_id"]]}s' if x['iscrowd'] else names[x['category_id']] for x in items]
    assert any(name.startswith('crowd') for name in expected)
    assert sorted(texts(truth)) == sorted(expected)


def test_predictions_are_labelled_with_their_scores(data, tmp_path):
    prediction = draw(data, predict(data, tmp_path / 'segm.json', score=0.876)).axes[1]
    assert texts(prediction)
    assert all(text.endswith(' 0.88') for text in texts(prediction))


def test_objects_of_a_single_category_have_no_labels_over_them(data, tmp_path):
    content = json.loads((data[0] / 'annotations' / 'instances_val.json').read_text())
    content['categories'] = content['categories'][:1]
    for item in content['annotations']:
        item['category_id'] = content['categories'][0]['id']
    (tmp_path / 'one.json').write_text(json.dumps(content))
    (tmp_path / 'segm.json').write_text('[]')
    truth, *_ = figures.plot_predictions(tmp_path / 'one.json', data[0] / 'val', tmp_path / 'segm.json').axes
    assert len(truth.patches) > 0
    assert texts(truth) == []


def test_every_object_has_box_and_mask_in_its_colour(data, tmp_path):
    truth = draw(data, predict(data, tmp_path / 'segm.json')).axes[0]
    boxes = [patch.get_edgecolor() for patch in truth.patches]
    outlines = [tuple(contour.get_edgecolor()[0]) for contour in truth.collections if not contour.filled]
    assert len(boxes) == len(texts(truth))
    assert outlines == boxes
    assert to_rgba('white') in boxes  # the crowd


def test_unsure_predictions_are_left_out(data, tmp_path):
    figure = draw(data, predict(data, tmp_path / 'segm.json', score=0.4), score=0.5)
    assert not any(texts(axes) for axes in figure.axes[1::2])


def test_no_predictions_at_all(data, tmp_path):
    (tmp_path / 'segm.json').write_text('[]')
    figure = draw(data, tmp_path / 'segm.json')
    assert texts(figure.axes[0])
    assert not texts(figure.axes[1])


def test_a_missing_image_is_named(data, tmp_path):
    annotations = data[0] / 'annotations' / 'instances_val.json'
    with pytest.raises(FileNotFoundError, match='000000.png is not there'):
        figures.plot_predictions(annotations, tmp_path, predict(data, tmp_path / 'segm.json'))


def test_saves_a_png_and_nothing_else(scalars, tmp_path):
    out = tmp_path / 'figures'
    out.mkdir()
    figures.save(figures.plot_curves(scalars), out / 'curves.png')
    assert [path.name for path in out.iterdir()] == ['curves.png']
    assert cv2.imread(str(out / 'curves.png')).shape[1] > 1000
