"""Draws heat maps of attentions and start assignments, as in figures 3 to 5 of KernelWarehouse's paper."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .attention_maps import AttentionMap

_COLUMNS = 2


def plot_attention(maps: Sequence[AttentionMap], start: bool = False) -> Figure:
    """Draw one heat map per warehouse: a row per mixture, a column per cell, the zero cell apart, and layers marked.

    Args:
        maps: What :func:`mmkw.inspection.attention_maps` returns.
        start: Whether to draw the start assignment instead of the mean attention. Default: False.
    """
    rows = -(-len(maps) // _COLUMNS)
    columns = min(len(maps), _COLUMNS)
    figure = Figure(figsize=(8 * columns, 6 * rows), layout='constrained')
    figure.suptitle('Start assignment (beta)' if start else 'Mean attention (alpha) over the images')
    grid = figure.subplots(rows, 2 * columns, squeeze=False, width_ratios=[30, 1] * columns)
    panels = grid.reshape(-1, 2)
    for (cells, zero), one in zip(panels, maps):
        values = (one.start if start else one.mean).numpy()
        limit = np.abs(values).max() or 1
        style = dict(cmap='RdBu_r', vmin=-limit, vmax=limit, aspect='auto', interpolation='nearest')
        image = cells.imshow(values[:, :-1], **style)
        zero.imshow(values[:, -1:], **style)
        cells.set(title=f'{one.bank}, {values.shape[1] - 1} cells', xlabel='cell', ylabel='mixture')
        zero.set(xticks=[0], xticklabels=['zero'], yticks=[])
        _mark_layers(cells, zero, one.layers)
        figure.colorbar(image, ax=zero, fraction=1, pad=0.5)
    for axes in panels[len(maps) :].flat:
        axes.axis('off')
    return figure


def _mark_layers(cells: Axes, zero: Axes, layers: dict[str, int]) -> None:
    """Name each layer at the middle of its rows, and draw a line below it."""
    ends = np.cumsum(list(layers.values()))
    middles = ends - np.array(list(layers.values())) / 2 - 0.5
    cells.set_yticks(middles, layers, fontsize=6)
    for axes in (cells, zero):
        for end in ends[:-1]:
            axes.axhline(end - 0.5, color='#222222', linewidth=0.5)
