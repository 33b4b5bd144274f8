"""Which factors are multiplied first, and which mixed bases are kept."""

import pytest
import torch

from mmkw.ops.association import Factors, kept_values, mixes_basis_first, uses_kept_basis, worth_keeping

WIDE = Factors(mixtures=4, rows=18, cells=552, cell=2**10)


@pytest.mark.parametrize('batch, is_first', [(2, False), (16, False), (64, True)])
def test_a_new_basis_is_mixed_where_one_over_b_plus_one_over_n_is_below_one_over_k(batch, is_first):
    assert mixes_basis_first(WIDE, batch, torch.float) is is_first


def test_a_basis_as_wide_as_the_cells_is_never_mixed_first():
    assert not mixes_basis_first(WIDE._replace(rows=552), 2**20, torch.float)


def test_a_mixed_basis_that_is_too_large_is_not_made_for_a_pass():
    large = WIDE._replace(cell=2**18)
    assert not mixes_basis_first(large, 64, torch.float)
    assert uses_kept_basis(large, 64)


def test_float16_takes_the_direct_form():
    assert mixes_basis_first(WIDE, 64, torch.bfloat16) and not mixes_basis_first(WIDE, 64, torch.float16)


@pytest.mark.parametrize('batch, cells, is_used', [(1, 552, True), (1, 40, False), (16, 40, True), (16, 17, False)])
def test_a_kept_basis_is_used_where_it_is_less_to_read_and_to_multiply(batch, cells, is_used):
    assert uses_kept_basis(WIDE._replace(cells=cells), batch) is is_used


def test_kept_are_those_that_save_most_per_value_as_far_as_they_fit():
    layers = [WIDE._replace(rows=rows) for rows in (60, 18, 600, 30)]
    size = WIDE.mixed_basis // 18
    assert worth_keeping(layers, 0) == set()
    assert worth_keeping(layers, 20 * size) == {1}
    assert worth_keeping(layers, 80 * size) == {1, 3}
    assert worth_keeping(layers, 10**9) == {0, 1, 3}
    assert kept_values([layers[0], layers[3]]) == 90 * size
