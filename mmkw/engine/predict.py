"""Prepares a detector for images that lie in no data set, and writes what it finds in COCO's form.

It is what tools/predict.py does, less the drawing. It needs mmdet, so nothing else in this room imports it.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import cv2
import mmcv
import numpy as np
from mmdet.apis.det_inferencer import IMG_EXTENSIONS
from mmdet.models import BaseDetector
from mmdet.registry import DATASETS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import encode_mask_results
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from PIL import Image, UnidentifiedImageError
from torch import nn

from mmkw.checkpoints.files import PathLike, build_model, load_into
from mmkw.config import LaunchError, scope_of, type_name


def find_images(paths: Sequence[PathLike]) -> dict[str, Path]:
    """Find images by their file names, under which results are written.

    Args:
        paths: Files, and folders whose images are meant; folders in these are not searched.

    Raises:
        LaunchError: If a path does not exist, a folder holds no image, or two images have one name.
    """
    found: dict[str, Path] = {}
    for path in map(Path, paths):
        images = [path]
        if path.is_dir():
            images = sorted(file for file in path.iterdir() if file.suffix.lower() in IMG_EXTENSIONS)
            if not images:
                raise LaunchError(
                    f'{path} holds no image: no file in it ends in {", ".join(IMG_EXTENSIONS)}, '
                    'and folders in it are not searched'
                )
        elif not path.is_file():
            raise LaunchError(f'there is no file or folder {path} (in {os.getcwd()})')
        for image in images:
            other = found.setdefault(image.name, image)
            if other != image:
                raise LaunchError(f'{other} and {image} have one name, and results go by it: take one folder at a time')
    return found


def load_detector(config: Config, checkpoint: PathLike, device: str) -> tuple[nn.Module, Compose]:
    """Build the detector of a config, fill it, and build the pipeline of its test images.

    Args:
        config: A config as :func:`mmkw.config.read_config` returns it; its test data set names the classes.
        checkpoint: A checkpoint of this model.
        device: Where to run it, such as ``'cpu'`` or ``'cuda:0'``.

    Returns:
        The detector in evaluation mode and the pipeline, as ``mmdet.apis.inference_detector`` takes them. Names and
        colours of the classes are in the detector's ``dataset_meta``.

    Raises:
        LaunchError: If the config is not that of a detector, or names other classes than it has.
        FileNotFoundError, ValueError: If the checkpoint cannot be read or is not for this model.
    """
    model = build_model(config)
    if not isinstance(model, BaseDetector):
        raise LaunchError(f'{config.filename} describes {type(model).__name__}, which is no detector')
    if not config.get('test_dataloader'):
        raise LaunchError(f'{config.filename} has no test_dataloader, which says how to prepare images: add one')
    with DefaultScope.overwrite_default_scope(scope_of(config)):
        # Annotations are for scoring, and these images have none.
        steps = [step for step in get_test_pipeline_cfg(config) if not type_name(step).endswith('Annotations')]
        pipeline = Compose(steps)
        meta = DATASETS.build({**config.test_dataloader.dataset, 'lazy_init': True}).metainfo  # reads no file
    model.dataset_meta = dict(classes=meta.get('classes') or (), palette=meta.get('palette') or 'random')
    _check_classes(model, config)
    load_into(model, checkpoint)
    model.cfg = config  # where inference_detector looks for it
    return model.to(device), pipeline


def _check_classes(model: nn.Module, config: Config) -> None:
    named = len(model.dataset_meta['classes'])
    for name, module in model.named_modules():
        if 'bbox_head' in name and getattr(module, 'num_classes', named) != named:
            raise LaunchError(
                f'{name} tells {module.num_classes} classes apart, and the test data set of {config.filename} names '
                f'{named}: set test_dataloader.dataset.metainfo=dict(classes=...) to the names'
            )


def identify(
    images: Mapping[str, Path], classes: Sequence[str], annotations: Optional[PathLike] = None
) -> tuple[dict[str, dict[str, Any]], list[int]]:
    """Say what stands for each image and for each class in the results.

    Args:
        images: Images as :func:`find_images` returns them.
        classes: Names of the detector's classes.
        annotations: A file in COCO's form whose ids to use. An image is the entry whose ``file_name`` is the end of its
            path, the longest if several are. A class is the category of its name; mmdet's own scoring takes classes in
            the order of the categories instead. Default: None, file names and the numbers of classes from 0.

    Returns:
        By name of the image, ``dict(image_id=...)`` or, without annotations, ``dict(file_name=...)``; and a category
        id for each class.

    Raises:
        LaunchError: If the file cannot be read, or lacks one of the images or of the classes.
    """
    if annotations is None:
        return {name: dict(file_name=name) for name in images}, list(range(len(classes)))
    try:
        content = json.loads(Path(annotations).read_text())
        of_files = {entry['file_name']: entry['id'] for entry in content['images']}
        of_classes = {entry['name']: entry['id'] for entry in content['categories']}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise LaunchError(
            f'{annotations} cannot be read as annotations in COCO form ({type(error).__name__}: {error})'
        ) from error
    unknown = [name for name in classes if name not in of_classes]
    if unknown:
        raise LaunchError(
            f'{annotations} does not have {len(unknown)} of the {len(classes)} classes of the detector: '
            f'{_some(unknown)}; its categories are {_some(list(of_classes))}'
        )
    named = {name: _longest_end(path, of_files) for name, path in images.items()}
    unknown = [str(images[name]) for name, file in named.items() if file is None]
    if unknown:
        raise LaunchError(
            f'{annotations} does not have {len(unknown)} of the {len(images)} images: {_some(unknown)}; '
            'leave them out, or leave out the annotations'
        )
    return {name: dict(image_id=of_files[file]) for name, file in named.items()}, [of_classes[name] for name in classes]


def _longest_end(path: Path, names: Mapping[str, Any]) -> Optional[str]:
    parts = path.absolute().parts
    ends = ('/'.join(parts[start:]) for start in range(len(parts)))
    return next((end for end in ends if end in names), None)


def _some(names: Sequence[str]) -> str:
    return ', '.join(names[:5]) + (', ...' if len(names) > 5 else '')


def read_image(path: PathLike) -> np.ndarray:
    """Read an image, uint8 ``(H, W, 3)`` in order RGB.

    Raises:
        ValueError: If it cannot be read whole.
    """
    try:
        # cv2, by which pipelines read, fills up a file that ends early with grey and says nothing; Pillow refuses it.
        with Image.open(path, formats=('JPEG', 'PNG')) as image:
            image.load()
    except (UnidentifiedImageError, Image.DecompressionBombError):
        pass  # of another kind, or very large
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(str(error)) from error
    try:
        image = mmcv.imread(str(path), channel_order='rgb', backend='cv2')
    except (OSError, cv2.error):
        image = None
    if image is None:
        raise ValueError('it cannot be read as an image')
    return image


def coco_results(sample: DetDataSample, image: Mapping[str, Any], categories: Sequence[int]) -> list[dict[str, Any]]:
    """What a detector found in one image, as entries of a results file of COCO.

    Args:
        sample: What the detector returned.
        image: What stands for the image, such as ``dict(image_id=7)``.
        categories: A category id for each class.

    Returns:
        An entry for each box: those of ``image``, ``category_id``, ``bbox`` (x, y, width, height in pixels of the
        image), ``score`` and, if the detector gives masks, ``segmentation`` (compressed run lengths).

    Raises:
        LaunchError: If the detector gives no boxes, as a panoptic one.
    """
    if 'pred_instances' not in sample:
        raise LaunchError(f'the detector gives no boxes but {", ".join(sample.keys())}: this is for detectors that do')
    found = sample.pred_instances.cpu()
    results = []
    for label, (x1, y1, x2, y2), score in zip(found.labels.tolist(), found.bboxes.tolist(), found.scores.tolist()):
        box = [x1, y1, x2 - x1, y2 - y1]
        results.append(dict(**image, category_id=categories[label], bbox=box, score=score))
    if 'masks' in found:
        for result, mask in zip(results, encode_mask_results(np.asarray(found.masks))):
            result['segmentation'] = dict(size=mask['size'], counts=mask['counts'].decode())
    return results
