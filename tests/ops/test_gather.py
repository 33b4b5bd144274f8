"""The gradient of cells that several layers share is right, whatever passes run over the graph."""

import copy
import gc
from unittest import mock

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from mmkw.ops import gather, mixture_conv
from mmkw.ops.textbook import textbook_conv

KERNELS = ((6, 4, 1, 1), (4, 6, 1, 1), (6, 4, 3, 3))


@pytest.fixture
def leaves():
    """Input, cells of 2 x 2, and mixing weights of three layers in a row."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, 4, 5, 5), (66, 2, 2, 1, 1)]  # as many cells as mixtures
    shapes += [(2, torch.Size(kernel).numel() // 4, 66) for kernel in KERNELS]
    return [torch.randn(shape, generator=generator, dtype=torch.double).requires_grad_() for shape in shapes]


def network(conv, x, cells, *alphas):
    for alpha, kernel in zip(alphas, KERNELS):
        x = conv(x, alpha, cells, kernel)
    return x.square().sum()


def gradients(conv, leaves):
    return torch.autograd.grad(network(conv, *leaves), leaves)


def assert_equal(found, expected):
    for ours, textbook in zip(found, expected):
        torch.testing.assert_close(ours, textbook)


@pytest.mark.parametrize('limit', [1, 400, 2**26])
def test_sum_over_layers(leaves, limit):
    with mock.patch.object(gather, 'GATHER_BYTES', limit):
        assert_equal(gradients(mixture_conv, leaves), gradients(textbook_conv, leaves))


def test_few_products_make_it(leaves):
    with mock.patch.object(gather, 'product', wraps=gather.product) as product:
        gradients(mixture_conv, leaves)
    assert product.call_count == 1


def test_two_passes_over_one_graph(leaves):
    loss, expected = network(mixture_conv, *leaves), gradients(textbook_conv, leaves)
    for retain in (True, False):
        assert_equal(torch.autograd.grad(loss, leaves, retain_graph=retain), expected)


def test_two_graphs_at_once(leaves):
    expected = gradients(textbook_conv, leaves)
    first, second = network(mixture_conv, *leaves), 2 * network(mixture_conv, *leaves)
    assert_equal(torch.autograd.grad(second, leaves), [2 * grad for grad in expected])
    assert_equal(torch.autograd.grad(first, leaves), expected)


def test_a_pass_without_the_cells_leaves_nothing_behind(leaves):
    loss, expected = network(mixture_conv, *leaves), gradients(textbook_conv, leaves)
    (dx,) = torch.autograd.grad(loss, leaves[0], retain_graph=True)
    torch.testing.assert_close(dx, expected[0])
    assert_equal(torch.autograd.grad(loss, leaves), expected)


def test_accumulates_over_steps_and_hooks_see_each_gradient_once(leaves):
    cells, seen = leaves[1], []
    cells.register_hook(lambda grad: seen.append(grad.clone()))
    expected = gradients(textbook_conv, leaves)[1]
    seen.clear()
    for _ in range(2):
        network(mixture_conv, *leaves).backward()
    assert_equal(seen, [expected, expected])
    torch.testing.assert_close(cells.grad, 2 * expected)


@pytest.mark.parametrize('reentrant', [True, False])
def test_recomputed_layers(leaves, reentrant):
    def conv(x, alpha, cells, kernel):
        return checkpoint(mixture_conv, x, alpha, cells, kernel, use_reentrant=reentrant)

    # The reentrant kind runs one backward pass within another, and works with backward() only.
    network(conv, *leaves).backward()
    assert_equal([leaf.grad for leaf in leaves], gradients(textbook_conv, leaves))


def test_cells_that_were_computed(leaves):
    x, cells, *alphas = leaves
    found, expected = (
        torch.autograd.grad(network(conv, x, cells.tanh(), *alphas), leaves) for conv in (mixture_conv, textbook_conv)
    )
    assert_equal(found, expected)


def test_cells_with_another_use_besides(leaves):
    def losses(conv):
        return network(conv, *leaves) + leaves[1].square().sum()

    found, expected = (torch.autograd.grad(losses(conv), leaves) for conv in (mixture_conv, textbook_conv))
    assert_equal(found, expected)


def test_cells_frozen_after_a_graph_that_is_still_alive(leaves):
    kept = network(mixture_conv, *leaves)
    leaves[1].requires_grad_(False)
    network(mixture_conv, *leaves).backward()
    assert leaves[1].grad is None
    assert kept.requires_grad


def test_cells_that_an_optimizer_has_changed_since(leaves):
    kept = network(mixture_conv, *leaves)
    with torch.no_grad():
        leaves[1].add_(1)
    assert_equal(gradients(mixture_conv, leaves), gradients(textbook_conv, leaves))
    with pytest.raises(RuntimeError, match='modified by an inplace operation'):
        kept.backward()


def test_cells_of_another_type_since(leaves):
    kept = network(mixture_conv, *leaves)
    for leaf in leaves:
        leaf.data = leaf.data.float()
    found, expected = gradients(mixture_conv, leaves), gradients(textbook_conv, leaves)
    assert kept.dtype == torch.double and found[1].dtype == torch.float
    for ours, textbook in zip(found, expected):
        assert (ours - textbook).norm() < 1e-5 * textbook.norm()


def test_layers_of_two_types(leaves):
    def conv(x, alpha, cells, kernel):
        return mixture_conv(x.to(torch.float if kernel[2] == 3 else torch.double), alpha, cells, kernel)

    found, expected = gradients(conv, leaves), gradients(textbook_conv, leaves)
    assert (found[1] - expected[1]).norm() < 1e-5 * expected[1].norm()


def test_lives_as_long_as_the_graph(leaves):
    gc.collect()
    before = len(gather._GATHERS)
    loss = network(mixture_conv, *leaves)
    assert len(gather._GATHERS) == before + 1
    del loss
    gc.disable()  # memory must be freed without the garbage collector
    try:
        assert len(gather._GATHERS) == before
    finally:
        gc.enable()


def test_parameters_can_be_copied_while_a_graph_is_alive():
    cells = torch.nn.Parameter(torch.randn(7, 2, 2, 1, 1))
    out = mixture_conv(torch.randn(2, 4, 5, 5), torch.randn(2, 6, 7), cells, (6, 4, 1, 1))
    copied = copy.deepcopy(cells)
    assert out.requires_grad and copied is not cells


def test_without_a_gather_each_layer_returns_its_gradient(leaves):
    with mock.patch.object(gather, 'is_observed', lambda: True):
        assert_equal(gradients(mixture_conv, leaves), gradients(textbook_conv, leaves))
