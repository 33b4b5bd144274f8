"""The three steps of the convolution against their formulas, written as loops."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mmkw.ops import assemble_kernel, contrasting_attention, dynamic_conv


def test_attention_is_signed_and_normalised_over_all_logits():
    logits = torch.tensor([[[1.0, -2.0, 3.0, -4.0]]])
    alpha = contrasting_attention(logits, 0.0, torch.zeros(1, 3))
    torch.testing.assert_close(alpha, torch.tensor([[[1.0, -2.0, 3.0]]]) / 10.001)


def test_attention_at_temperature_one_is_the_start():
    start = torch.eye(3)
    alpha = contrasting_attention(torch.randn(2, 3, 4), 1.0, start)
    assert torch.equal(alpha, start.expand(2, 3, 3))


def test_attention_blends_linearly():
    logits, start = torch.randn(2, 3, 5), torch.rand(3, 4)
    cold, hot, mid = (contrasting_attention(logits, tau, start) for tau in (0.0, 1.0, 0.25))
    torch.testing.assert_close(mid, 0.75 * cold + 0.25 * hot)


@settings(max_examples=40, deadline=None)
@given(
    blocks=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    cell=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    window=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    spatial=st.booleans(),
    n=st.integers(1, 5),
    batch=st.integers(1, 3),
)
def test_assembled_kernel_is_the_published_formula(blocks, cell, window, spatial, n, batch):
    (blocks_out, blocks_in), (co, ci) = blocks, cell
    positions = list(itertools.product(*(range(k) for k in window))) if spatial else [None]
    cells = torch.randn(n, co, ci, *([1] * len(window) if spatial else window), dtype=torch.double)
    alpha = torch.randn(batch, len(positions) * blocks_out * blocks_in, n, dtype=torch.double)
    expected = torch.zeros(batch, blocks_out * co, blocks_in * ci, *window, dtype=torch.double)
    for b, (s, position), o, i in itertools.product(
        range(batch), enumerate(positions), range(blocks_out), range(blocks_in)
    ):
        mix = sum(alpha[b, (s * blocks_out + o) * blocks_in + i, j] * cells[j] for j in range(n))
        rows, columns = slice(o * co, (o + 1) * co), slice(i * ci, (i + 1) * ci)
        if position is None:
            expected[b, rows, columns] = mix
        else:
            expected[(b, rows, columns, *position)] = mix.reshape(co, ci)
    torch.testing.assert_close(assemble_kernel(alpha, cells, expected.shape[1:]), expected)


@pytest.mark.parametrize('dims', [1, 2, 3])
@pytest.mark.parametrize(
    'kwargs',
    [
        dict(),
        dict(stride=2, padding=1),
        dict(padding=2, dilation=2),
        dict(groups=2),
        dict(padding='same', groups=4),
    ],
)
def test_every_sample_is_convolved_with_its_own_kernel(dims, kwargs):
    conv = [F.conv1d, F.conv2d, F.conv3d][dims - 1]
    groups = kwargs.get('groups', 1)
    x = torch.randn(3, 4, *[6] * dims, dtype=torch.double)
    weight = torch.randn(3, 8, 4 // groups, *[3] * dims, dtype=torch.double)
    bias = torch.randn(8, dtype=torch.double)
    expected = torch.cat([conv(x[b : b + 1], weight[b], bias, **kwargs) for b in range(3)])
    torch.testing.assert_close(dynamic_conv(x, weight, bias, **kwargs), expected)
