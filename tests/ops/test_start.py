"""Each start strategy makes mixtures what its definition says at temperature 1."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from mmkw.ops import START_STRATEGIES, start_assignment, start_matrix


def test_one_cell_for_each_mixture():
    beta = start_matrix([0, 2], 4, 2, 'one_to_one')
    assert beta.tolist() == [[1, 0, 0, 0], [0, 0, 1, 0]]


def test_the_zero_cell_is_a_row_of_zeros():
    assert start_matrix([0, -1], 1, 0.5, 'one_to_one').tolist() == [[1], [0]]


def test_several_cells_for_each_mixture():
    beta = start_matrix([0, 2], 4, 2, 'several_to_one')
    assert beta.tolist() == [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]


def test_all_cells_for_each_mixture():
    assert start_matrix([0, -1], 4, 0.5, 'all_to_one').tolist() == [[0.25] * 4] * 2


def test_no_start():
    assert not start_matrix([0, 1], 2, 1, 'none').any()


@given(
    mixtures=st.integers(1, 12),
    budget=st.sampled_from([1, 2, 4]),
    first=st.integers(0, 5),
    strategy=st.sampled_from(START_STRATEGIES[:3]),
)
def test_weights_of_a_mixture_sum_to_one(mixtures, budget, first, strategy):
    assume(strategy != 'several_to_one' or budget > 1)
    cells = first + mixtures * budget
    beta = start_matrix(start_assignment(mixtures, budget, first), cells, budget, strategy)
    torch.testing.assert_close(beta.sum(1), torch.ones(mixtures))


def test_unknown_strategy():
    with pytest.raises(ValueError, match="start must be one of one_to_one, several_to_one, .*got 'two'"):
        start_matrix([0], 1, 1, 'two')


def test_several_cells_at_a_budget_of_one():
    with pytest.raises(ValueError, match="'several_to_one' needs a budget of 2 or above, got 1"):
        start_matrix([0], 1, 1, 'several_to_one')
