"""Draws a small COCO-format instance-segmentation data set from a seed: overlapping shapes on textures."""

import json
import math
from pathlib import Path
from typing import Any, Optional, Union

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from .folder import write_once

CLASSES = ('disk', 'square', 'triangle', 'star', 'ring')
SPLITS = ('train', 'val')

_VERSION = 1  # increase it whenever the pixels change, so that older folders are drawn anew
_GENERATOR = 'mmkw.demo.shapes'

# Image number i is empty, has a crowd or has a large shape if i % EVERY == REMAINDER. Even tiny splits have some.
_EMPTY_EVERY, _EMPTY_REMAINDER = 20, 1
_CROWD_EVERY, _CROWD_REMAINDER = 7, 0
_LARGE_EVERY, _LARGE_REMAINDER = 6, 2

# Part of a shape's area that must be visible; if it is less, nobody could say what the shape is.
_LEAST_VISIBLE = 0.6
_LEAST_AREA = 40  # visible pixels


def generate(out_dir: Union[str, Path], seed: int = 0, train: int = 240, val: int = 60, size: int = 128) -> bool:
    """Write the data set: ``annotations/instances_{train,val}.json`` and ``{train,val}/*.png``.

    Masks are exact: they are run-length encoded, since polygons would round them. Masks of one image share no pixel: a
    covered pixel belongs to the shape on top. Every split has images without objects, crowd regions (``iscrowd=1``),
    and shapes from about 18 pixels to most of the image. The same arguments give the same pixels and the same JSON; the
    two splits are drawn from independent random streams.

    Args:
        out_dir: Folder to make. If it already holds the data set of these arguments, nothing is done; the data set of
            other arguments is replaced. The folder appears only when complete.
        seed: Seed of all pictures, not negative. Default: 0.
        train, val: Number of images, at least 2 each. Default: 240 and 60.
        size: Height and width of an image in pixels, at least 64. Default: 128.

    Returns:
        True if the data set was written, False if it was there already.

    Raises:
        ValueError: If an argument is out of range.
        FileExistsError: If ``out_dir`` holds anything that this function did not write.
    """
    for name, value, least in (('seed', seed, 0), ('train', train, 2), ('val', val, 2), ('size', size, 64)):
        if value < least:
            raise ValueError(f'{name} must be at least {least}, got {value}')
    info = dict(
        name='shapes',
        description='Shapes over textures, drawn by KernelWarehouse for OpenMMLab',
        generator=_GENERATOR,
        version=_VERSION,
        seed=seed,
        train=train,
        val=val,
        size=size,
    )

    def write(folder: Path) -> None:
        for number, (split, count) in enumerate(zip(SPLITS, (train, val))):
            _write_split(folder, split, info, [[seed, number, index] for index in range(count)])

    return write_once(out_dir, info, _info_of, write)


def draw(seed: Any, size: int, index: int = 0) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Draw one image.

    Args:
        seed: Whatever ``numpy.random.default_rng`` takes.
        size: Height and width in pixels.
        index: Number of the image in its split: some are without objects, some have a crowd or a large shape.

    Returns:
        The picture, uint8 ``(size, size, 3)`` in cv2's BGR order, and its objects from top to bottom, each with
        ``mask`` (bool, ``(size, size)``), ``label`` (index into ``CLASSES``) and ``crowd``.
    """
    rng = np.random.default_rng(seed)
    background = _colour(rng.uniform(0, 360), rng.uniform(0, 0.3), rng.uniform(0.2, 0.8))
    picture = _texture(rng, size, background, contrast=12)
    shapes = [] if index % _EMPTY_EVERY == _EMPTY_REMAINDER else _shapes(rng, size, index)
    # From top to bottom, each shape takes the pixels of its outline that are still free.
    free = np.ones((size, size), dtype=bool)
    objects = []
    for label, outline, crowd in shapes:
        mask = outline & free
        if mask.sum() < max(_LEAST_AREA, _LEAST_VISIBLE * outline.sum()):
            continue
        free &= ~outline
        # As in photographs, colour hints at the class, but the hues of neighbouring classes overlap.
        hue = 360 / len(CLASSES) * label + rng.normal(0, 20)
        colour = _colour(hue, rng.uniform(0.55, 1), rng.uniform(0.4, 1))
        picture[mask] = _texture(rng, size, colour, contrast=6)[mask]
        objects.append(dict(mask=mask, label=label, crowd=crowd))
    return picture.round().clip(0, 255).astype(np.uint8), objects


def _shapes(rng: np.random.Generator, size: int, index: int) -> list[tuple[int, np.ndarray, bool]]:
    """Draw label, full outline and crowd flag of an image's shapes, the topmost first."""
    shapes = []
    if index % _CROWD_EVERY == _CROWD_REMAINDER:
        label = int(rng.integers(len(CLASSES)))
        centre = rng.uniform(0.2 * size, 0.8 * size, 2)
        crowd = np.zeros((size, size), dtype=bool)
        for _ in range(int(rng.integers(12, 20))):
            crowd |= _outline(rng, size, label, rng.uniform(5, 8), centre + rng.normal(0, 0.1 * size, 2))
        shapes.append((label, crowd, True))
    sides = list(np.exp(rng.uniform(math.log(18), math.log(0.5 * size), int(rng.integers(1, 5)))))
    if index % _LARGE_EVERY == _LARGE_REMAINDER:
        sides.append(rng.uniform(0.8, 0.9) * size)
    for side in sides:
        label = int(rng.integers(len(CLASSES)))
        margin = min(0.4 * side, 0.45 * size)
        shapes.append((label, _outline(rng, size, label, side, rng.uniform(margin, size - margin, 2)), False))
    return shapes


def _outline(rng: np.random.Generator, size: int, label: int, side: float, centre: np.ndarray) -> np.ndarray:
    """Mask of a shape whose area is about ``side ** 2``, at a random angle."""
    name = CLASSES[label]
    corners = dict(square=4, triangle=3, star=10).get(name, 64)
    radius = np.ones(corners)
    if name == 'star':
        radius[1::2] = 0.45
    angle = rng.uniform(0, 2 * math.pi) + 2 * math.pi / corners * np.arange(corners)
    polygon = np.stack((np.cos(angle), np.sin(angle)), axis=1) * radius[:, None]
    x, y = polygon.T
    area = 0.5 * abs(x @ np.roll(y, -1) - y @ np.roll(x, -1))
    hole = 0.55 if name == 'ring' else 0.0
    polygon *= side / math.sqrt(area * (1 - hole**2))
    mask = np.zeros((size, size), dtype=np.uint8)
    cv2.fillPoly(mask, [_fixed_point(centre + polygon)], 1, shift=4)
    if hole:
        cv2.fillPoly(mask, [_fixed_point(centre + hole * polygon)], 0, shift=4)
    return mask.astype(bool)


def _fixed_point(polygon: np.ndarray) -> np.ndarray:
    return (polygon * 16).round().astype(np.int32)


def _colour(hue: float, saturation: float, value: float) -> np.ndarray:
    """BGR in 0..255 of a hue in degrees, and a saturation and a value in 0..1."""
    hsv = np.array([[[hue % 360, saturation, value]]], dtype=np.float32)
    return 255.0 * cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0].astype(float)


def _texture(rng: np.random.Generator, size: int, colour: np.ndarray, contrast: float) -> np.ndarray:
    """A colour with noise of several scales, and sometimes stripes, as float ``(size, size, 3)``."""
    texture = np.tile(colour, (size, size, 1))
    for cells in (3, 9, 27):
        grey, tint = rng.normal(0, contrast, (cells, cells, 1)), rng.normal(0, 0.4 * contrast, (cells, cells, 3))
        texture += cv2.resize(grey + tint, (size, size), interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.4:
        angle, period = rng.uniform(0, math.pi), rng.uniform(5, 14)
        rows, columns = np.mgrid[:size, :size]
        wave = np.sin(2 * math.pi / period * (rows * math.sin(angle) + columns * math.cos(angle)))
        texture += contrast * wave[..., None]
    return texture + rng.normal(0, 4, texture.shape)


def _write_split(folder: Path, split: str, info: dict[str, Any], seeds: list[list[int]]) -> None:
    (folder / split).mkdir(parents=True)
    (folder / 'annotations').mkdir(exist_ok=True)
    size, images, annotations = info['size'], [], []
    for index, seed in enumerate(seeds):
        picture, objects = draw(seed, size, index)
        name = f'{index:06}.png'
        if not cv2.imwrite(str(folder / split / name), picture):
            raise OSError(f'{folder / split / name} could not be written; is the disk full?')
        images.append(dict(id=index + 1, file_name=name, height=size, width=size))
        for item in objects:
            annotations.append(_annotation(len(annotations) + 1, index + 1, item))
    categories = [dict(id=number + 1, name=name) for number, name in enumerate(CLASSES)]
    content = dict(info=info, images=images, annotations=annotations, categories=categories)
    (folder / 'annotations' / f'instances_{split}.json').write_text(json.dumps(content))


def _annotation(number: int, image: int, item: dict[str, Any]) -> dict[str, Any]:
    mask = item['mask']
    flat = mask.ravel(order='F')
    # COCO counts runs column by column and starts with a run of zeros, even if it is empty.
    changes = np.flatnonzero(np.diff(flat, prepend=False))
    counts = np.diff(changes, prepend=0, append=flat.size).tolist()
    segmentation = dict(size=list(mask.shape), counts=counts)
    return dict(
        id=number,
        image_id=image,
        category_id=item['label'] + 1,
        iscrowd=int(item['crowd']),
        area=int(mask.sum()),
        bbox=coco_mask.toBbox(coco_mask.frPyObjects(segmentation, *mask.shape)).tolist(),
        segmentation=segmentation,
    )


def _info_of(folder: Path) -> Optional[dict[str, Any]]:
    """The arguments that a folder was generated with; None if this module did not write the folder."""
    try:
        infos = [
            json.loads((folder / 'annotations' / f'instances_{split}.json').read_text())['info'] for split in SPLITS
        ]
        names = {path.name for path in folder.iterdir()}
    except (OSError, ValueError, LookupError, TypeError):
        return None
    ours = infos[0] == infos[1] and isinstance(infos[0], dict) and infos[0].get('generator') == _GENERATOR
    return infos[0] if ours and names == {'annotations', *SPLITS} else None
