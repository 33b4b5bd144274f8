"""Finds out before a run starts whether annotations, data sets and heads mean the same classes."""

from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.fileio import load
from mmengine.runner import Runner
from torch import nn

from mmkw.config import LaunchError

from .unwrap import unwrap

_HEADS = ('bbox_head', 'mask_head')


def check_classes(runner: Runner, stage: str = 'train') -> None:
    """Check that data sets have the classes of their annotations, in their order, and that heads have as many.

    Without this, mmdet leaves out all objects of classes that a data set does not name, and names the rest in another
    order than that of the annotation file wrongly; it notices a head of another size in the first validation or never.
    mmpretrain numbers the class folders of each split for itself.

    Args:
        runner: The Runner that is about to run. Its data loaders are built if they are not built yet.
        stage: ``'train'`` (with its validation) or ``'test'``. Default: ``'train'``.

    Raises:
        LaunchError: If classes differ. Categories that are left out on purpose are logged as a warning.
    """
    if stage == 'test':
        loops = {'test_dataloader': runner.test_loop}
    else:
        loops = {'train_dataloader': runner.train_loop, 'val_dataloader': runner.val_loop}
    model = unwrap(runner.model)
    numbered: dict[str, Sequence[str]] = {}  # by data loader, the class of each label
    for key, loop in loops.items():
        for dataset in _leaves(getattr(getattr(loop, 'dataloader', None), 'dataset', None)):
            meta = getattr(dataset, 'metainfo', None) or {}
            classes = meta.get('classes')
            if not classes:
                continue
            if isinstance(classes, str):
                raise LaunchError(
                    f'{key}: classes is the text {classes!r}, and must be a tuple or the name of a file; '
                    f"one name alone is written with a comma, ('{classes}',)"
                )
            if hasattr(dataset, 'cat_ids'):
                _check_categories(runner, dataset, classes, key)
            _check_heads(model, meta.get('thing_classes', classes), key)
            numbered.setdefault(key, classes)
    if type(model).__name__ == 'ImageClassifier' and len(numbered) == 2:
        _check_folders(*numbered.values())


def _leaves(dataset: Any) -> Iterator[Any]:
    """The data sets that others wrap."""
    if hasattr(dataset, 'dataset'):
        yield from _leaves(dataset.dataset)
    elif hasattr(dataset, 'datasets'):
        for child in dataset.datasets:
            yield from _leaves(child)
    elif dataset is not None:
        yield dataset


def _check_categories(runner: Runner, dataset: Any, classes: Sequence[str], key: str) -> None:
    from mmdet.datasets import CocoDataset

    if type(dataset).load_data_list is not CocoDataset.load_data_list:  # LVIS and others number their classes otherwise
        return
    own = tuple(classes) == tuple(type(dataset).METAINFO.get('classes', ()))
    if own and len(dataset.cat_ids) == len(classes):
        return  # COCO itself, whose file takes long to read
    content = load(dataset.ann_file, file_format='json', backend_args=dataset.backend_args)
    names = [category['name'] for category in content['categories']]
    wanted = f'set metainfo=dict(classes={tuple(names)}) in the data sets of the config'
    strange = [name for name in classes if name not in names]
    if strange:
        raise LaunchError(
            f'{key}: no category of {dataset.ann_file} is called {_listed(strange)}. It has {_listed(names)}: {wanted}'
        )
    if tuple(classes) != tuple(name for name in names if name in classes):
        raise LaunchError(
            f'{key}: classes must be in the order of the categories of {dataset.ann_file}, by which mmdet numbers '
            f'them, and are {_listed(classes)}: {wanted}'
        )
    left = [name for name in names if name not in classes]
    if left:
        runner.logger.warning(f'{key}: objects of {_listed(left)} are left out, since classes does not name them.')


def _check_heads(model: nn.Module, classes: Sequence[str], key: str) -> None:
    if hasattr(model, 'language_model'):
        return  # its head has a place for each word
    for name, module in model.named_modules():
        found = getattr(module, 'num_classes', None)
        if not isinstance(found, int) or getattr(module, 'class_agnostic', False):
            continue
        of_detector = any(part in _HEADS for part in name.split('.')[-2:])
        of_classifier = type(model).__name__ == 'ImageClassifier' and name == 'head'
        if (of_detector and found != len(classes)) or (of_classifier and found < len(classes)):
            raise LaunchError(
                f'model.{name}.num_classes is {found}, and {key} has {len(classes)} classes, {_listed(classes)}: '
                f'set num_classes={len(classes)} there'
            )


def _check_folders(train: Sequence[str], val: Sequence[str]) -> None:
    if tuple(train) != tuple(val):
        raise LaunchError(
            f'train_dataloader has the classes {_listed(train)}, val_dataloader {_listed(val)}, and each numbers its '
            'own: give both the same class folders, or both metainfo=dict(classes=(...))'
        )


def _listed(names: Sequence[str], most: int = 8) -> str:
    rest = len(names) - most
    return ', '.join(map(repr, names[:most])) + (f' and {rest} more' if rest > 0 else '')
