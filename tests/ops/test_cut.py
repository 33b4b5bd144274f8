"""Cutting a kernel is the inverse of assembling it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmkw.ops import assemble_kernel, cut_kernel

SIZES = st.integers(1, 3)


@settings(max_examples=50, deadline=None)
@given(st.data(), SIZES, SIZES, SIZES, SIZES, st.lists(SIZES, min_size=1, max_size=3), st.booleans())
def test_assembling_every_block_as_itself_gives_the_kernel(data, blocks_out, blocks_in, co, ci, window, whole_window):
    kernel = (blocks_out * co, blocks_in * ci, *window)
    cell = (co, ci, *(window if whole_window else [1] * len(window)))
    weight = torch.randn(kernel, dtype=torch.double)
    blocks = cut_kernel(weight, cell)
    assert blocks.shape[1:] == cell
    alpha = torch.eye(len(blocks), dtype=torch.double)[None]
    assert torch.equal(assemble_kernel(alpha, blocks, kernel)[0], weight)


def test_blocks_are_in_mixture_order():
    weight = torch.arange(2 * 4 * 1 * 2).reshape(2, 4, 1, 2)  # O, I, window
    blocks = cut_kernel(weight, (1, 2, 1, 1))
    assert [block.flatten().tolist() for block in blocks[:3]] == [[0, 2], [4, 6], [8, 10]]
    assert blocks[4].flatten().tolist() == [1, 3]  # the next window position comes after all channels


def test_a_kernel_that_does_not_divide():
    with pytest.raises(ValueError, match=r'\(3, 4, 1, 1\) does not divide into cells of shape \(2, 2, 1, 1\)'):
        cut_kernel(torch.zeros(3, 4, 1, 1), (2, 2, 1, 1))
