"""window_conv is exactly the textbook's convolution, and its gradients are right."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmkw.ops import window_conv
from mmkw.ops.textbook import dynamic_conv


def by_definition(x, weight, scale, *geometry):
    factors = scale.view(len(x), 1, 1, *weight.shape[2:])
    return dynamic_conv(x, weight * factors, None, *geometry)


@st.composite
def cases(draw):
    dims = draw(st.sampled_from([1, 2, 2, 3]))
    window = draw(st.lists(st.integers(1, 3), min_size=dims, max_size=dims))
    stride, padding, dilation = (
        tuple(draw(st.lists(st.integers(low, 2), min_size=dims, max_size=dims))) for low in (1, 0, 1)
    )
    groups, batch = draw(st.sampled_from([1, 2, 4])), draw(st.integers(1, 3))
    ci, co = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    size = [d * (k - 1) + 1 + draw(st.integers(0, 3)) for k, d in zip(window, dilation)]
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**20)))
    shapes = (batch, ci * groups, *size), (co * groups, ci, *window), (batch, torch.Size(window).numel())
    leaves = [torch.randn(shape, dtype=torch.double, generator=generator).requires_grad_() for shape in shapes]
    return leaves, (stride, padding, dilation, groups)


@settings(max_examples=60, deadline=None)
@given(case=cases(), needed=st.lists(st.booleans(), min_size=3, max_size=3).filter(any))
def test_output_and_gradients_are_the_textbooks(case, needed):
    leaves, geometry = case
    for leaf, is_needed in zip(leaves, needed):
        leaf.requires_grad_(is_needed)
    out, expected = window_conv(*leaves, *geometry), by_definition(*leaves, *geometry)
    torch.testing.assert_close(out, expected)
    grad = torch.randn_like(expected)
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    for ours, theirs in zip(torch.autograd.grad(out, wanted, grad), torch.autograd.grad(expected, wanted, grad)):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize('needs_grad', [False, True])
def test_autocast_computes_and_returns_half_precision(needs_grad):
    torch.manual_seed(0)
    x, weight, scale = torch.randn(2, 8, 4, 4), torch.randn(8, 8, 3, 3, requires_grad=needs_grad), torch.rand(2, 9)
    exact = window_conv(x, weight, scale, 1, 1)
    with torch.autocast('cpu', torch.bfloat16):
        out = window_conv(x, weight, scale, 1, 1)
    assert out.dtype == torch.bfloat16
    assert (out.float() - exact).norm() < 0.01 * exact.norm()
    if needs_grad:
        out.sum().backward()
        assert weight.grad.dtype == torch.float32


def test_half_precision_sums_in_float32():
    # 512 ones and, at every window position, 1 more, which a sum in bfloat16 would not see.
    x, weight = torch.ones(1, 513, 3, 3, dtype=torch.bfloat16), torch.ones(1, 513, 3, 3, dtype=torch.bfloat16)
    weight[:, 1:, 1:] = 0
    weight[:, 1:, 0, 1:] = 0
    out = window_conv(x, weight, torch.ones(1, 9, dtype=torch.bfloat16))
    assert out.float().item() == torch.tensor(513.0 + 8).bfloat16().item()
