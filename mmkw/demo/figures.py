"""Draws figures of a finished run: predicted masks beside the true ones, and the curves of losses and AP."""

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Optional, Union

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from pycocotools.coco import COCO

PathLike = Union[str, Path]

# Okabe and Ito's colours, which colour-blind people can tell apart.
_COLOURS = ('#e69f00', '#56b4e9', '#009e73', '#f0e442', '#cc79a7', '#d55e00', '#0072b2')
_CROWD_COLOUR = '#ffffff'
_LOSS_NAMES = {
    'loss': 'total',
    'loss_rpn_cls': 'RPN, object or not',
    'loss_rpn_bbox': 'RPN, box',
    'loss_cls': 'class',
    'loss_bbox': 'box',
    'loss_mask': 'mask',
}
_AP_NAMES = {'coco/bbox_mAP': 'box AP', 'coco/segm_mAP': 'mask AP'}


def read_scalars(path: PathLike, growing: bool = False) -> dict[str, list[tuple[int, float]]]:
    """Read the ``scalars.json`` of an mmengine run.

    Args:
        path: The file.
        growing: Leave out a last line without its end, as of a run that still writes or was stopped. Default: False.

    Returns:
        For every scalar its ``(step, value)`` pairs in the order of the run. The step of a training scalar is an
        iteration, that of a validation metric an epoch.

    Raises:
        ValueError: If a line is not a JSON object with a ``step``.
    """
    scalars = defaultdict(list)
    text = Path(path).read_text()
    if growing:
        text = text[: text.rfind('\n') + 1]
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            row = json.loads(line)
            step = row.pop('step')
        except (ValueError, AttributeError, LookupError) as error:
            raise ValueError(f'{path}, line {number}: no scalars of mmengine; is it a whole file?') from error
        for name, value in row.items():
            scalars[name].append((step, value))
    return dict(scalars)


def plot_curves(scalars: dict[str, list[tuple[int, float]]]) -> Figure:
    """Plot the losses over iterations, total and parts, beside box and mask AP over epochs.

    Args:
        scalars: What :func:`read_scalars` returns. Losses and APs that it lacks are left out.
    """
    figure = Figure(figsize=(11, 4), layout='constrained')
    losses, precision = figure.subplots(1, 2)
    for name, colour in zip(_LOSS_NAMES, ('#222222', *_COLOURS[:3], *_COLOURS[4:6])):
        if name in scalars:
            width = 2.2 if name == 'loss' else 1.4
            losses.plot(*zip(*scalars[name]), label=_LOSS_NAMES[name], color=colour, linewidth=width)
    losses.set(title='Training losses', xlabel='iteration', ylabel='loss', ylim=(0, None))
    for name, colour in zip(_AP_NAMES, (_COLOURS[6], _COLOURS[5])):
        if name in scalars:
            epochs, values = zip(*scalars[name])
            precision.plot(epochs, values, 'o-', label=_AP_NAMES[name], color=colour)
            above = name == 'coco/bbox_mAP'
            precision.annotate(
                f'{values[-1]:.3f}',
                (epochs[-1], values[-1]),
                xytext=(0, 7 if above else -15),
                textcoords='offset points',
                ha='center',
                color=colour,
            )
    precision.set(title='AP on held-out images', xlabel='epoch', ylabel='AP (IoU 0.50 to 0.95)', ylim=(0, 1))
    for axes in (losses, precision):
        tidy(axes)
        if axes.lines:
            axes.legend(frameon=False, loc='upper right' if axes is losses else 'upper left')
    return figure


def plot_predictions(
    annotations: PathLike, images: PathLike, predictions: PathLike, count: int = 8, score: float = 0.5
) -> Figure:
    """Draw predicted masks and boxes, of several categories labels and scores too, beside the true ones.

    Args:
        annotations: COCO annotation file.
        images: Folder of its images.
        predictions: The ``.segm.json`` that mmdet's CocoMetric writes, with a box in every entry.
        count: How many images to draw, the first of the annotation file. Default: 8.
        score: Predictions with a lower score are left out. Default: 0.5.

    Raises:
        FileNotFoundError: If an image does not exist or cannot be read.
    """
    coco = COCO(annotations)
    labels = {category['id']: category['name'] for category in coco.loadCats(coco.getCatIds())}
    colours = {number: _COLOURS[index % len(_COLOURS)] for index, number in enumerate(labels)}
    predicted = defaultdict(list)
    for item in json.loads(Path(predictions).read_text()):
        if item['score'] >= score:
            predicted[item['image_id']].append(item)
    shown = coco.loadImgs(sorted(coco.getImgIds())[:count])
    rows = -(-len(shown) // 2)
    figure = Figure(figsize=(13, 3.3 * rows + 0.6), layout='constrained')
    grid = figure.subplots(rows, 4, squeeze=False)
    for axes in grid.flat:
        axes.axis('off')
    for image, truth, prediction in zip(shown, grid[:, 0::2].flat, grid[:, 1::2].flat):
        picture = cv2.imread(str(Path(images) / image['file_name']))
        if picture is None:
            raise FileNotFoundError(f'{Path(images) / image["file_name"]} is not there or is no image')
        items = coco.loadAnns(coco.getAnnIds(imgIds=image['id']))
        for axes, name, found in ((truth, 'truth', items), (prediction, 'prediction', predicted[image['id']])):
            axes.imshow(picture[..., ::-1], interpolation='nearest')
            axes.set_title(f'{image["file_name"]}, {name}', fontsize=9)
            for item in sorted(found, key=lambda item: item['bbox'][2] * item['bbox'][3], reverse=True):
                name, colour = labels[item['category_id']], colours[item['category_id']]
                if item.get('iscrowd'):
                    name, colour = f'crowd of {name}s', _CROWD_COLOUR
                elif 'score' in item:
                    name += f' {item["score"]:.2f}'
                # Of a single category the legend says it all, and many labels would cover the objects.
                _draw(axes, coco.annToMask(item), item['bbox'], colour, name if len(labels) > 1 else None)
    handles = [Line2D([], [], color=colours[number], linewidth=6, label=name) for number, name in labels.items()]
    figure.legend(handles=handles, loc='outside upper center', ncols=len(handles), frameon=False)
    return figure


def tidy(axes: Axes) -> None:
    """Give axes of curves a light grid, and no frame where there are no ticks."""
    axes.grid(color='#dddddd', linewidth=0.6)
    axes.spines[['top', 'right']].set_visible(False)


def save(figure: Figure, path: PathLike) -> None:
    """Write a figure as a PNG that appears only when complete."""
    part = Path(f'{path}.part')
    figure.savefig(part, format='png', dpi=110)
    os.replace(part, path)


def _draw(axes: Axes, mask: np.ndarray, bbox: list[float], colour: str, text: Optional[str]) -> None:
    x, y, width, height = bbox
    # matplotlib puts the centre of pixel (0, 0) at the point (0, 0), COCO its corner.
    axes.add_patch(Rectangle((x - 0.5, y - 0.5), width, height, fill=False, edgecolor=colour, linewidth=1.1))
    axes.contourf(mask, levels=[0.5, 1.5], colors=[colour], alpha=0.35)
    axes.contour(mask, levels=[0.5], colors=[colour], linewidths=1.8)
    if text is None:
        return
    # Labels stay inside the picture: above the box if there is room, and extending to the left near the right edge.
    at_right = x > 0.7 * mask.shape[1]
    axes.text(
        min(x + width, mask.shape[1]) - 1 if at_right else max(x, 0),
        max(y - 1.5, 0.05 * mask.shape[0]),
        text,
        ha='right' if at_right else 'left',
        va='bottom',
        fontsize=7.5,
        clip_on=True,
        bbox=dict(facecolor=colour, edgecolor='none', alpha=0.85, pad=1),
    )
