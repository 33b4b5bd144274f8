"""Heat maps of attentions; the tests check what the axes hold, not pixels."""

import numpy as np
import pytest
import torch

from mmkw.inspection import AttentionMap
from mmkw.inspection.attention_figure import plot_attention

MAP = AttentionMap('warehouses.a', {'x': 2, 'y': 1}, torch.randn(3, 5).double(), torch.eye(3, 5).double())


@pytest.mark.parametrize('start, values', [(False, MAP.mean), (True, MAP.start)])
def test_mixtures_by_cells_with_the_zero_cell_apart(start, values):
    cells, zero, *_ = plot_attention([MAP], start).axes
    assert np.array_equal(cells.images[0].get_array(), values[:, :-1])
    assert np.array_equal(zero.images[0].get_array(), values[:, -1:])
    assert cells.images[0].get_clim() == zero.images[0].get_clim()


def test_layers_are_marked():
    cells, *_ = plot_attention([MAP]).axes
    assert [(tick.get_text(), at) for tick, at in zip(cells.get_yticklabels(), cells.get_yticks())] == [
        ('x', 0.5),
        ('y', 2),
    ]
    assert [line.get_ydata()[0] for line in cells.lines] == [1.5]


def test_every_warehouse_has_a_panel():
    figure = plot_attention([MAP] * 3)
    assert [axes.get_title() for axes in figure.axes if axes.images and axes.get_title()] == [
        'warehouses.a, 4 cells'
    ] * 3
