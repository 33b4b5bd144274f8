"""Panoptic FPN of mmdet trains with a KernelWarehouse backbone, and mmdet scores it.

mmdet's metric needs panopticapi, which PyPI has as panopticapi-lite.
"""

import json
import re

import cv2
import numpy as np
import pytest

from mmkw.demo import shapes
from running import ROOT, run_tool

pytestmark = pytest.mark.slow

CONFIG = ROOT / 'tests' / 'end_to_end' / 'tiny_panoptic_fpn.py'
SIZE = 64
COLOURS = {'sky': (230, 180, 90), 'ground': (40, 90, 60)}  # in order BGR


def make_split(folder, name, seeds):
    """Pictures of mmkw.demo.shapes before a sky over a ground, and their panoptic annotations in COCO form."""
    names = [*shapes.CLASSES, *COLOURS]
    categories = [dict(id=10 + n, name=kind, isthing=int(kind not in COLOURS)) for n, kind in enumerate(names)]
    images, annotations = [], []
    for part in (name, f'{name}_maps'):
        (folder / part).mkdir(parents=True)
    for number, seed in enumerate(seeds):
        picture, objects = shapes.draw(seed, SIZE, number)
        free = ~np.any([np.zeros((SIZE, SIZE), bool), *(item['mask'] for item in objects)], axis=0)
        upper = np.arange(SIZE)[:, None] < SIZE // 2
        for label, (kind, half) in enumerate(zip(COLOURS, (upper, ~upper)), len(shapes.CLASSES)):
            mask = free & half
            picture[mask] = picture[mask] // 4 + np.uint8(COLOURS[kind]) // 4 * 3
            objects.append(dict(mask=mask, label=label, crowd=False))
        ids, segments = np.zeros((SIZE, SIZE, 3), np.uint8), []
        for item in objects:
            x, y, width, height = cv2.boundingRect(item['mask'].astype(np.uint8))
            segments.append(
                dict(
                    id=len(segments) + 1,
                    category_id=10 + item['label'],
                    iscrowd=int(item['crowd']),
                    bbox=[x, y, width, height],
                    area=int(item['mask'].sum()),
                )
            )
            ids[item['mask'], 2] = len(segments)  # the red channel has the lowest byte
        file = f'{number:03}.png'
        cv2.imwrite(str(folder / name / file), picture)
        cv2.imwrite(str(folder / f'{name}_maps' / file), ids)
        images.append(dict(id=number + 1, file_name=file, height=SIZE, width=SIZE))
        annotations.append(dict(image_id=number + 1, file_name=file, segments_info=segments))
    content = dict(images=images, annotations=annotations, categories=categories)
    (folder / f'{name}.json').write_text(json.dumps(content))


def scores(log, stage):
    last = [line for line in log.splitlines() if f'Epoch({stage})' in line][-1]
    return dict(re.findall(r'coco_panoptic/(\w+): (\S+)', last))


def test_panoptic_fpn_trains_and_scores(tmp_path):
    make_split(tmp_path / 'panoptic', 'train', [[0, n] for n in range(16)])
    make_split(tmp_path / 'panoptic', 'val', [[1, n] for n in range(4)])
    log = run_tool('train.py', CONFIG, '--work-dir', 'run', cwd=tmp_path)
    found = scores(log, 'val')
    assert float(found['PQ_st']) > 20
    tested = run_tool('test.py', CONFIG, 'run/epoch_10.pth', '--work-dir', 'test', cwd=tmp_path)
    assert scores(tested, 'test') == found
