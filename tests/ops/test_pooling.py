"""Pooling beside a convolution gives the values and gradients of plain autograd."""

import pytest
import torch
import torch.nn.functional as F

from mmkw.ops._pooling import pool_in_passing, window_means


@pytest.fixture(params=[(2, 3, 4), (2, 3, 4, 5), (2, 3, 2, 2, 2)], ids=['1d', '2d', '3d'])
def x(request):
    return torch.randn(request.param, dtype=torch.double, generator=torch.Generator().manual_seed(0)).requires_grad_()


def uses(passed, mean):
    yield (passed.square().sum() + mean.pow(3).sum())
    yield passed.square().sum()
    yield mean.pow(3).sum()


@pytest.mark.parametrize('which', range(3), ids=['both', 'input alone', 'mean alone'])
def test_gradients(x, which):
    found, expected = (list(uses(*pair))[which] for pair in (pool_in_passing(x), (x, x.flatten(2).mean(-1))))
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(*(torch.autograd.grad(loss, x)[0] for loss in (found, expected)))


def test_the_gradient_of_a_float16_mean_is_a_sum_that_float16_cannot_hold():
    x = torch.ones(2, 3, 32, 32, dtype=torch.half, requires_grad=True)
    passed, mean = pool_in_passing(x)
    assert mean.dtype == torch.float
    (grad,) = torch.autograd.grad((passed, mean), x, (torch.ones_like(x), torch.full((2, 3), 1e6)))
    torch.testing.assert_close(grad, torch.full_like(x, 1 + 1e6 / 1024))


def test_other_uses_of_the_input_keep_their_gradients(x):
    """The gradient that is added in place belongs to this use alone."""
    grad = torch.randn_like(x)
    before = grad.clone()
    passed, mean = pool_in_passing(x)
    found = torch.autograd.grad((passed * 2, x * 3, mean.sum()), x, (grad, grad, torch.ones(()).double()))[0]
    torch.testing.assert_close(found, 5 * before + 1 / x[0, 0].numel())
    torch.testing.assert_close(grad, before)


WINDOWS = {
    'overlapping': ((7, 5), (3, 3)),
    'even': ((6, 4), (3, 2)),
    'more than positions': ((1, 2), (3, 3)),
    'one along an axis': ((4, 5), (1, 2)),
    '1-d': ((9,), (2,)),
    '3-d': ((5, 6, 7), (2, 3, 2)),
}


@pytest.mark.parametrize('size, windows', WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize('which', range(3), ids=['both', 'input alone', 'mean alone'])
def test_windows_are_those_of_torchs_adaptive_pooling(size, windows, which):
    x = torch.randn(2, 3, *size, dtype=torch.double, generator=torch.Generator().manual_seed(0)).requires_grad_()
    expected = getattr(F, f'adaptive_avg_pool{len(size)}d')(x, windows)
    torch.testing.assert_close(window_means(x, windows), expected)
    found, reference = (
        torch.autograd.grad(list(uses(*pair))[which], x) for pair in (pool_in_passing(x, windows), (x, expected))
    )
    torch.testing.assert_close(found, reference)


def test_windows_of_half_precision_are_summed_in_float32():
    x = torch.full((1, 1, 512, 512), 2.0, dtype=torch.half, requires_grad=True)
    mean = pool_in_passing(x, (2, 2))[1]
    assert mean.dtype == torch.float and (mean == 2).all()
    (grad,) = torch.autograd.grad(mean, x, torch.full((1, 1, 2, 2), 1e6))
    torch.testing.assert_close(grad, torch.full_like(x, 1e6 / 65536))
