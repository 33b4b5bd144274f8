"""Pooling beside a convolution gives the values and gradients of plain autograd."""

import pytest
import torch

from mmkw.ops._pooling import pool_in_passing


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
