"""mixture_conv equals the textbook's convolution, and so do its gradients."""

from contextlib import ExitStack, contextmanager
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmkw.ops import association, contrasting_attention, convolve, gather, kernels, mixture, mixture_conv, products
from mmkw.ops.textbook import textbook_conv
from oldest import half_on_cpus


@st.composite
def cases(draw):
    """Arguments of a random layer: 1-d to 3-d, pointwise or not, at a temperature from 0 to 1."""
    dims = draw(st.sampled_from([1, 2, 2, 3]))
    window = draw(st.lists(st.integers(1, 2 if dims == 3 else 3), min_size=dims, max_size=dims))
    if draw(st.booleans()):
        window = [1] * dims
    groups = draw(st.sampled_from([1, 1, 2, 4]))
    co, ci = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    blocks_out, blocks_in = draw(st.sampled_from([1, 2])) * groups, draw(st.sampled_from([1, 2]))
    whole_window = draw(st.booleans())
    positions = 1 if whole_window else torch.Size(window).numel()
    stride, padding, dilation = (
        tuple(draw(st.lists(st.integers(low, 2), min_size=dims, max_size=dims))) for low in (1, 0, 1)
    )
    if draw(st.booleans()):
        padding = (0,) * dims
    batch, n = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    size = [d * (k - 1) + 1 + draw(st.integers(0, 2)) for k, d in zip(window, dilation)]

    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**20)))

    def random(*shape):
        return torch.randn(*shape, dtype=torch.double, generator=generator)

    m = positions * blocks_out * blocks_in
    x, cells = (
        random(batch, ci * blocks_in * groups, *size),
        random(n, co, ci, *(window if whole_window else [1] * dims)),
    )
    start = torch.eye(max(m, n), dtype=torch.double)[:m, :n]
    alpha = contrasting_attention(random(batch, m, n + 1), draw(st.sampled_from([0.0, 0.3, 1.0])), start)
    kernel = (co * blocks_out, ci * blocks_in, *window)
    bias = random(kernel[0]) if draw(st.booleans()) else None
    return x, alpha, cells, kernel, bias, stride, padding, dilation, groups


@contextmanager
def ways(draw):
    """Force one of the ways that mixture_conv otherwise chooses by the sizes of its arguments."""
    limits = {
        (kernels, 'PART_BYTES'): (64, 2**26),  # one sample at a time, or all
        (mixture, 'KEEP_UP_TO'): (0, 4),
        (gather, 'GATHER_BYTES'): (64, 2**26),
        (convolve, 'PATCHES_FROM'): (1, 256),
        (convolve, 'SINGLY_FROM'): (1, 2**19),
        (products, 'ONE_BY_ONE_FROM'): (1, 2**25),
    }
    with ExitStack() as stack:
        for (module, name), values in limits.items():
            stack.enter_context(mock.patch.object(module, name, draw(st.sampled_from(values), label=name)))
        yield


# In float64 the formulas themselves, in float32 the products that only it has.
@settings(max_examples=150, deadline=None)
@given(case=cases(), dtype=st.sampled_from([torch.double, torch.float]), data=st.data())
def test_output_and_gradients_are_the_textbooks(case, dtype, data):
    x, alpha, cells, kernel, bias, *geometry = case
    leaves = [t.detach().to(dtype).requires_grad_() for t in (x, alpha, cells, bias) if t is not None]
    bias = leaves[3] if bias is not None else None
    expected = textbook_conv(*leaves[:3], kernel, bias, *geometry)
    with ways(data.draw):
        out = mixture_conv(*leaves[:3], kernel, bias, *geometry)
        grad = torch.randn_like(expected)
        found = torch.autograd.grad(out, leaves, grad)
    tolerance = dict(rtol=1e-4, atol=1e-4) if dtype == torch.float else {}
    torch.testing.assert_close(out, expected, **tolerance)
    for ours, textbook in zip(found, torch.autograd.grad(expected, leaves, grad)):
        torch.testing.assert_close(ours, textbook, **tolerance)


@settings(max_examples=25, deadline=None)
@given(case=cases(), data=st.data())
def test_gradients_are_those_of_finite_differences(case, data):
    x, alpha, cells, kernel, bias, *geometry = case
    inputs = [t.detach().requires_grad_() for t in (x, alpha, cells)]
    with ways(data.draw):
        assert torch.autograd.gradcheck(
            lambda *leaves: mixture_conv(*leaves, kernel, bias, *geometry), inputs, fast_mode=True
        )


ARGUMENTS = {'pointwise': dict(kernel=(6, 4, 1, 1)), 'windowed': dict(kernel=(6, 4, 3, 3), padding=1)}


def tensors(kernel, batch=2, dtype=torch.float):
    """Input, weights of the mix and cells of 3 x 2 for a kernel."""
    generator = torch.Generator().manual_seed(0)
    shapes = (batch, 4, 5, 5), (batch, kernel[0] // 3 * kernel[1] // 2 * kernel[2] * kernel[3], 7), (7, 3, 2, 1, 1)
    return [torch.randn(shape, generator=generator).to(dtype).requires_grad_() for shape in shapes]


@pytest.mark.parametrize('arguments', ARGUMENTS.values(), ids=ARGUMENTS)
@pytest.mark.parametrize('needed', [(0,), (1,), (2,), (0, 2)])
@pytest.mark.parametrize('batch', [2, 5])
def test_only_some_gradients(arguments, needed, batch):
    leaves = tensors(arguments['kernel'], batch, torch.double)
    expected = torch.autograd.grad(textbook_conv(*leaves, **arguments).sum(), [leaves[i] for i in needed])
    for i, leaf in enumerate(leaves):
        leaf.requires_grad_(i in needed)
    found = torch.autograd.grad(mixture_conv(*leaves, **arguments).sum(), [leaves[i] for i in needed])
    for ours, textbook in zip(found, expected):
        torch.testing.assert_close(ours, textbook)


@pytest.mark.parametrize('arguments', ARGUMENTS.values(), ids=ARGUMENTS)
def test_channels_last_stays_channels_last(arguments):
    x, alpha, cells = tensors(arguments['kernel'])
    out = mixture_conv(x.to(memory_format=torch.channels_last), alpha, cells, **arguments)
    assert out.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(out, textbook_conv(x, alpha, cells, **arguments))


@pytest.mark.parametrize('arguments', ARGUMENTS.values(), ids=ARGUMENTS)
def test_autocast_mixes_in_its_type_and_gives_gradients_in_theirs(arguments):
    leaves = tensors(arguments['kernel'])
    exact = textbook_conv(*leaves, **arguments)
    with torch.autocast('cpu', torch.bfloat16):
        out = mixture_conv(*leaves, **arguments)
    assert out.dtype == torch.bfloat16
    assert (out.float() - exact).norm() < 0.02 * exact.norm()
    for ours, expected in zip(*(torch.autograd.grad(y.float().sum(), leaves) for y in (out, exact))):
        assert ours.dtype == torch.float
        assert (ours - expected).norm() < 0.02 * expected.norm()


@pytest.mark.parametrize('arguments', ARGUMENTS.values(), ids=ARGUMENTS)
@pytest.mark.parametrize('size', [1e-3, 500])
@pytest.mark.parametrize('limit', [400, 2**26])
@half_on_cpus
def test_sums_over_positions_stay_in_the_range_of_float16(arguments, size, limit):
    """Two layers that share their cells: 1024 positions of 500 make 512,000, and float16 ends at 65,504."""
    _, alpha, cells = tensors(arguments['kernel'])
    alpha = (alpha / alpha.detach().abs().sum(-1, keepdim=True)).detach().requires_grad_()
    xs = torch.rand(2, 2, 4, 32, 32, generator=torch.Generator().manual_seed(0)).unbind()

    def gradients(conv):
        outs = [conv(x, alpha, cells, **arguments).float() for x in xs]
        grads = [torch.full_like(out, step) for out, step in zip(outs, (size, size / 50))]
        return torch.autograd.grad(outs, (alpha, cells), grads)

    expected = gradients(textbook_conv)
    with torch.autocast('cpu', torch.float16), mock.patch.object(gather, 'GATHER_BYTES', limit):
        found = gradients(mixture_conv)
    for ours, textbook in zip(found, expected):
        assert (ours - textbook).norm() < 0.005 * textbook.norm()


@st.composite
def factored_cases(draw):
    """A random layer whose weights of the mix have a basis, as an attention makes them: ``[h, 1] / s`` and tau."""
    x, alpha, cells, kernel, *others = draw(cases())
    m, n = alpha.shape[1:]
    x = torch.cat([x * factor for factor in range(1, draw(st.sampled_from([2, 4])))])
    rows = draw(st.integers(1, 5))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**20)))
    code = torch.randn(len(x), m, rows, dtype=torch.double, generator=generator)
    code[..., -1] = draw(st.sampled_from([0.0, 0.3, 1.0]))
    basis = torch.randn(m, rows, n, dtype=torch.double, generator=generator)
    return x, code, basis, cells, kernel, others


@contextmanager
def associated(draw):
    """Either of the orders, chosen by work, with the limits that depend on how large things are drawn too."""
    values = dict(TRAFFIC=(0, 8), BASIS_BYTES=(0, 2**26))
    first = draw(st.sampled_from([None, True, False]), label='basis first')
    with ExitStack() as stack:
        for name, choices in values.items():
            stack.enter_context(mock.patch.object(association, name, draw(st.sampled_from(choices), label=name)))
        if first is not None:
            stack.enter_context(mock.patch.object(mixture, 'mixes_basis_first', lambda *_: first))
        limit = draw(st.sampled_from([0, 512]), label='one by one from')
        stack.enter_context(mock.patch.object(products, 'STACKED_ONE_BY_ONE_FROM', limit))
        yield


@settings(max_examples=150, deadline=None)
@given(case=factored_cases(), dtype=st.sampled_from([torch.double, torch.float]), data=st.data())
def test_with_a_basis_output_and_gradients_are_the_textbooks(case, dtype, data):
    x, code, basis, cells, kernel, (bias, *geometry) = case
    leaves = [t.detach().to(dtype).requires_grad_() for t in (x, code, basis, cells)]
    bias = None if bias is None else bias.to(dtype)

    def run(conv):
        x, code, basis, cells = leaves
        return conv(x, code, cells, kernel, bias, *geometry, basis=basis)

    expected = run(textbook_conv)
    needed = data.draw(st.lists(st.sampled_from(leaves), min_size=1, unique_by=id))
    grad = torch.randn_like(expected)
    textbooks = torch.autograd.grad(expected, needed, grad)
    for leaf in leaves:
        leaf.requires_grad_(any(leaf is other for other in needed))
    with ways(data.draw), associated(data.draw):
        out = run(mixture_conv)
        found = torch.autograd.grad(out, needed, grad)
        with torch.no_grad():
            torch.testing.assert_close(run(mixture_conv), out, rtol=1e-4, atol=1e-4)
    tolerance = dict(rtol=1e-4, atol=1e-4) if dtype == torch.float else {}
    torch.testing.assert_close(out, expected, **tolerance)
    for ours, textbook in zip(found, textbooks):
        torch.testing.assert_close(ours, textbook, **tolerance)


@settings(max_examples=25, deadline=None)
@given(case=factored_cases(), data=st.data())
def test_with_a_basis_gradients_are_those_of_finite_differences(case, data):
    x, code, basis, cells, kernel, (bias, *geometry) = case
    inputs = [t.detach().requires_grad_() for t in (x, code, basis, cells)]
    with mock.patch.object(mixture, 'mixes_basis_first', lambda *_: True), ways(data.draw):
        assert torch.autograd.gradcheck(
            lambda x, code, basis, cells: mixture_conv(x, code, cells, kernel, bias, *geometry, basis=basis),
            inputs,
            fast_mode=True,
        )


def factored_tensors(kernel, batch, dtype=torch.float):
    """Input, code and basis of three rows, and cells."""
    x, alpha, cells = tensors(kernel, batch, dtype)
    generator = torch.Generator().manual_seed(1)
    m, n = alpha.shape[1:]
    code, basis = (torch.randn(shape, generator=generator).to(dtype) for shape in ((batch, m, 3), (m, 3, n)))
    return x, code.requires_grad_(), basis.requires_grad_(), cells


@pytest.mark.parametrize('arguments', ARGUMENTS.values(), ids=ARGUMENTS)
@pytest.mark.parametrize(
    'dtype, is_first', [(torch.bfloat16, True), pytest.param(torch.float16, False, marks=half_on_cpus)]
)
def test_with_a_basis_autocast_is_as_close_as_the_direct_form(arguments, dtype, is_first):
    """float16 takes the direct form, whose factors are bounded; either is that of the type."""
    x, code, basis, cells = factored_tensors(arguments['kernel'], 64)
    leaves = (x, code, basis, cells)
    exact = textbook_conv(x, code, cells, **arguments, basis=basis)
    with torch.autocast('cpu', dtype), mock.patch.object(mixture, 'factored_conv', wraps=mixture.factored_conv) as conv:
        with torch.no_grad():
            mixture_conv(x, code, cells, **arguments, basis=basis)
        assert conv.called is is_first
        out = mixture_conv(x, code, cells, **arguments, basis=basis)
    assert out.dtype == dtype
    assert (out.float() - exact).norm() < 0.02 * exact.norm()
    for ours, expected in zip(*(torch.autograd.grad(y.float().sum(), leaves) for y in (out, exact))):
        assert ours.dtype == torch.float
        assert (ours - expected).norm() < 0.02 * expected.norm()


def test_float32_is_no_further_from_float64_than_the_direct_form():
    """Many cells, few rows and both signs, as an attention has them."""
    generator = torch.Generator().manual_seed(0)
    kernel, rows, n = (64, 64, 3, 3), 17, 500
    x, cells = torch.randn(40, 64, 6, 6, generator=generator), torch.randn(n, 64, 64, 1, 1, generator=generator)
    basis, code = (torch.randn(shape, generator=generator) for shape in ((9, rows, n), (40, 9, rows)))
    code = code / torch.matmul(code.transpose(0, 1), basis).abs().sum(-1, keepdim=True).transpose(0, 1)
    exact = textbook_conv(x.double(), code.double(), cells.double(), kernel, basis=basis.double())
    errors = []
    for is_first in (True, False):
        with mock.patch.object(mixture, 'mixes_basis_first', lambda *_, first=is_first: first):
            errors.append((mixture_conv(x, code, cells, kernel, basis=basis) - exact).norm().item())
    assert errors[0] < 1.1 * errors[1]


def test_layers_of_both_orders_share_the_gradient_of_their_cells():
    x, code, basis, cells = factored_tensors((6, 4, 1, 1), 3, torch.double)
    alpha = torch.randn(3, 4, 7, dtype=torch.double, requires_grad=True)

    def gradients(conv):
        out = conv(x, code, cells, (6, 4, 1, 1), basis=basis) + conv(x, alpha, cells, (6, 4, 1, 1))
        return torch.autograd.grad(out.square().sum(), (x, code, basis, cells, alpha))

    with mock.patch.object(mixture, 'mixes_basis_first', lambda *_: True):
        found = gradients(mixture_conv)
    for ours, textbook in zip(found, gradients(textbook_conv)):
        torch.testing.assert_close(ours, textbook)


def test_differentiating_twice_is_refused():
    leaves = tensors((6, 4, 1, 1))
    (grad,) = torch.autograd.grad(mixture_conv(*leaves, (6, 4, 1, 1)).square().sum(), leaves[0], create_graph=True)
    with pytest.raises(RuntimeError, match='once_differentiable'):
        grad.sum().backward()


@pytest.mark.parametrize('batch, kept', [(4, True), (5, False)])
def test_only_small_batches_keep_their_kernels(batch, kept):
    out = mixture_conv(*tensors((6, 4, 3, 3), batch), (6, 4, 3, 3))
    kernels = out.grad_fn.saved_tensors[3]
    assert kernels.numel() == (batch * 6 * 4 * 9 if kept else 0)


@pytest.mark.parametrize('batch', [1, 2, 5])
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_wide_layers(batch, layout):
    """Layers as large as those of the models reach every limit at its real value."""
    for kernel, padding, stride in (((256, 64, 3, 3), 1, 1), ((256, 128, 1, 1), 0, 2)):
        generator = torch.Generator().manual_seed(0)
        shapes = (batch, kernel[1], 40, 40), (batch, kernel[2] * kernel[3] * kernel[1] // 16, 5), (5, 256, 16, 1, 1)
        leaves = [torch.randn(shape, generator=generator) for shape in shapes]
        leaves[0] = leaves[0].to(memory_format=layout)
        leaves = [leaf.requires_grad_() for leaf in leaves]
        out = mixture_conv(*leaves, kernel, padding=padding, stride=stride)
        expected = textbook_conv(*leaves, kernel, padding=padding, stride=stride)
        assert out.is_contiguous(memory_format=layout)
        grad = torch.randn(out.shape, generator=generator)
        for ours, textbook in zip(
            (out, *torch.autograd.grad(out, leaves, grad)), (expected, *torch.autograd.grad(expected, leaves, grad))
        ):
            assert (ours - textbook).norm() < 1e-5 * textbook.norm()
