"""torch's counter of operations counts mmkw's operators."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mmkw.ops import mixture_conv
from mmkw.ops.mixture import KEEP_UP_TO
from mmkw.ops.textbook import textbook_conv


def count(conv, batch, kernel, needed=(), **geometry):
    """Operations of a forward pass and, if a gradient is needed, of a backward pass."""
    groups = geometry.get('groups', 1)
    cells = torch.randn(9, kernel[0] // 2, kernel[1], *[1] * len(kernel[2:]))
    mixtures = 2 * torch.Size(kernel[2:]).numel()
    tensors = dict(
        x=torch.randn(batch, kernel[1] * groups, *[6] * len(kernel[2:])),
        alpha=torch.randn(batch, mixtures, 9),
        cells=cells,
    )
    with FlopCounterMode(display=False) as counter:
        out = conv(*(t.requires_grad_(name in needed) for name, t in tensors.items()), kernel, **geometry)
        if needed:
            out.sum().backward()
    return counter.get_total_flops()


@pytest.mark.parametrize('batch', [1, 3])
@pytest.mark.parametrize(
    'kernel, geometry',
    [
        ((8, 4, 3, 3), dict(padding=1)),
        ((8, 4, 1, 1), dict(stride=2)),
        ((8, 2, 3, 3), dict(groups=2, dilation=2)),
        ((8, 1, 3), dict(groups=8)),
        ((4, 3, 2, 1, 2), dict()),
    ],
)
def test_a_forward_pass_counts_what_its_formulas_do(batch, kernel, geometry):
    assert count(mixture_conv, batch, kernel, **geometry) == count(textbook_conv, batch, kernel, **geometry) > 0


# Only batch 1 without groups is compared: torch counts the gradient of a grouped kernel once per group.
@pytest.mark.parametrize('needed', [('x',), ('alpha',), ('x', 'alpha'), ('alpha', 'cells'), ('x', 'alpha', 'cells')])
@pytest.mark.parametrize('kernel', [(8, 4, 3, 3), (8, 4, 1, 1)])
def test_a_backward_pass_counts_what_its_formulas_do(kernel, needed):
    assert count(mixture_conv, 1, kernel, needed) == count(textbook_conv, 1, kernel, needed)


def test_kernels_that_are_mixed_again_count_again():
    kernel, batch = (8, 4, 3, 3), KEEP_UP_TO + 1
    one, mixing = count(mixture_conv, 1, kernel, ('x', 'alpha')), 2 * 18 * 9 * 16
    assert count(mixture_conv, batch, kernel, ('x', 'alpha')) == batch * (one + mixing)
