"""How kernels are cut into cells."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmkw.ops import ZERO_CELL, Cut, cell_shape, num_cells, num_mixtures, start_assignment

channels = st.integers(1, 12)
kernels = st.lists(st.tuples(channels, channels, st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=5)


@given(kernels)
def test_cells_of_full_ratio_tile_every_kernel(shapes):
    cell = cell_shape(shapes)
    assert cell[2:] == (1, 1)
    for kernel in shapes:
        assert num_mixtures(kernel, cell) * math.prod(cell) == math.prod(kernel)


@given(kernels)
def test_cells_are_the_largest_that_divide_all_channels(shapes):
    cell = cell_shape(shapes)
    for axis in (0, 1):
        assert cell[axis] == math.gcd(*(kernel[axis] for kernel in shapes))


@given(kernels, st.sampled_from([0.5, 0.25, 0.1]))
def test_a_ratio_either_cuts_whole_cells_or_is_refused(shapes, ratio):
    try:
        cell = cell_shape(shapes, Cut(ratio, ratio))
    except ValueError as error:
        assert 'does not divide into cells' in str(error)
        return
    for axis in (0, 1):
        assert cell[axis] == max(int(math.gcd(*(kernel[axis] for kernel in shapes)) * ratio), 1)
        assert all(kernel[axis] % cell[axis] == 0 for kernel in shapes)


def test_without_spatial_partition_a_cell_spans_the_window():
    assert cell_shape([(8, 4, 3, 3), (4, 4, 3, 3)], Cut(spatial_partition=False)) == (4, 4, 3, 3)


def test_without_spatial_partition_windows_must_agree():
    with pytest.raises(ValueError, match=r'different windows \[\(1, 1\), \(3, 3\)\].*spatial_partition=True'):
        cell_shape([(8, 4, 3, 3), (4, 4, 1, 1)], Cut(spatial_partition=False))


def test_spatial_axes_must_agree():
    with pytest.raises(ValueError, match='same number of spatial axes'):
        cell_shape([(8, 4, 3, 3), (4, 4, 1)])


@pytest.mark.parametrize('ratio', [0, -1, 1.5])
@pytest.mark.parametrize('axis', ['inplane', 'outplane'])
def test_ratio_outside_its_range(axis, ratio):
    with pytest.raises(ValueError, match=rf'cell_{axis}_ratio must lie in \(0, 1\], got {ratio}'):
        Cut(**{f'cell_{axis}_ratio': ratio})


def test_channels_that_do_not_divide_into_cells():
    with pytest.raises(ValueError, match=r'\(5, 4, 1, 1\) does not divide into cells of shape \(2, 4, 1, 1\)'):
        cell_shape([(5, 4, 1, 1)], Cut(cell_outplane_ratio=0.5))


@pytest.mark.parametrize('budget, mixtures, cells', [(1, 47, 47), (4, 10, 40), (0.5, 9, 4), (0.25, 1, 1)])
def test_number_of_cells(budget, mixtures, cells):
    assert num_cells(budget, mixtures) == cells


@pytest.mark.parametrize('budget', [0, -0.5, math.inf, math.nan])
def test_number_of_cells_of_a_bad_budget(budget):
    with pytest.raises(ValueError, match='budget must be a finite number above 0'):
        num_cells(budget, 8)


@given(st.integers(1, 200), st.integers(1, 5), st.integers(0, 50))
def test_start_of_whole_budgets_is_every_bth_cell(mixtures, budget, first):
    assert start_assignment(mixtures, budget, first) == list(range(first, first + mixtures * budget, budget))


@given(st.integers(1, 200), st.sampled_from([2, 3, 4, 8]), st.integers(0, 50))
def test_start_of_fractional_budgets(mixtures, period, first):
    cells = start_assignment(mixtures, 1 / period, first)
    takes = [i for i, cell in enumerate(cells) if cell != ZERO_CELL]
    assert takes == [i for i in range(mixtures) if i % period == (i // period) % period]
    assert [cells[i] for i in takes] == list(range(first, first + len(takes)))
