"""Products equal matmul's, whatever the layout of the operands and whichever library multiplies."""

from unittest import mock

import pytest
import torch

from mmkw.ops import products
from mmkw.ops.products import batched_product, product

LAYOUTS = {
    'rows': lambda t: t,
    'columns': lambda t: t.transpose(-1, -2).contiguous().transpose(-1, -2),
    'every other value': lambda t: torch.stack((t, t), -1).flatten(-2)[..., ::2],
    'one row many times': lambda t: t[..., :1, :].expand_as(t),
}


@pytest.fixture(params=[torch.float, torch.double, torch.bfloat16], ids=str)
def operands(request):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator).to(request.param) for shape in ((3, 5, 7), (3, 6, 7))]


@pytest.mark.parametrize('left', LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize('right', LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize('limit', [0, 2**25], ids=['one by one', 'in a batch'])
def test_layouts(operands, left, right, limit):
    a, b = left(operands[0]), right(operands[1])
    expected = a @ b.transpose(1, 2)
    torch.testing.assert_close(product(a[0], b[0]), expected[0])
    with mock.patch.object(products, 'ONE_BY_ONE_FROM', limit):
        torch.testing.assert_close(batched_product(a, b), expected)
        torch.testing.assert_close(batched_product(a[:1], b[:1]), expected[:1])


@pytest.mark.parametrize('limit', [0, 2**25], ids=['one by one', 'in a batch'])
def test_into_a_view(operands, limit):
    a, b = operands
    whole = torch.zeros(2, 3, 6, 5, dtype=a.dtype)
    target = whole[1].transpose(1, 2).unflatten(2, (2, 3))  # strided, and the last axis in two
    with mock.patch.object(products, 'ONE_BY_ONE_FROM', limit):
        batched_product(a, b, target)
    torch.testing.assert_close(whole[1], (a @ b.transpose(1, 2)).transpose(1, 2))
    assert not whole[0].any()


def test_without_onednn(operands):
    a, b = operands
    with mock.patch.object(products, '_ONEDNN', None):
        torch.testing.assert_close(product(a[0], b[0]), a[0] @ b[0].t())
