"""Pooling over each picture's own extent is pooling its part of the map, and nothing else counts."""

import pytest
import torch

from mmkw.ops._pooling import maxima, means, pool_in_passing, window_means
from mmkw.ops.extent import Area, Extent, Pictures

# Of five pictures: two alike, one that fills its input, two others.
SIZES = [(40, 64), (40, 64), (64, 64), (33, 1), (64, 17)]
EXTENT = Extent(Pictures(SIZES, (64, 64)))
# What they fill of a map of 8 x 8.
FILLED = [(5, 8), (5, 8), (8, 8), (5, 1), (8, 3)]
POOLS = {
    'means': lambda x, extent: means(x, extent),
    'maxima': lambda x, extent: maxima(x, extent),
    'windows': lambda x, extent: window_means(x, (3, 2), extent),
    'one window': lambda x, extent: window_means(x, (1, 1), extent),
    'means in passing': lambda x, extent: pool_in_passing(x, (), extent)[1],
    'windows in passing': lambda x, extent: pool_in_passing(x, (3, 2), extent)[1],
}


@pytest.fixture(params=POOLS.values(), ids=POOLS)
def pool(request):
    return request.param


@pytest.fixture
def x():
    return torch.randn(5, 3, 8, 8, dtype=torch.double, generator=torch.Generator().manual_seed(0)).requires_grad_()


def cropped(x):
    return [x[i : i + 1, :, :rows, :columns] for i, (rows, columns) in enumerate(FILLED)]


def test_every_picture_is_pooled_as_if_it_were_alone(pool, x):
    expected = torch.cat([pool(crop.detach(), None) for crop in cropped(x)])
    torch.testing.assert_close(pool(x, EXTENT), expected, rtol=1e-14, atol=1e-14)
    assert (pool(x, EXTENT) - pool(x, None)).abs().flatten(1).amax(1).gt(1e-3).tolist() == [
        True,
        True,
        False,
        True,
        True,
    ]


def test_what_is_outside_counts_by_no_bit_be_it_no_number(pool, x):
    other = torch.full_like(x, torch.nan)
    for mine, theirs in zip(cropped(other), cropped(x)):
        mine.copy_(theirs.detach())
    assert torch.equal(pool(other, EXTENT), pool(x, EXTENT))


def test_gradients(pool, x):
    assert torch.autograd.gradcheck(lambda x: pool(x, EXTENT), x)
    (grad,) = torch.autograd.grad(pool(x, EXTENT).sum(), x)
    inside = torch.zeros_like(grad, dtype=torch.bool)
    for crop in cropped(inside):
        crop.fill_(True)
    assert not grad[~inside].any()


@pytest.mark.parametrize('windows', [(), (1, 1), (3, 2)])
def test_gradients_join_those_of_the_other_use(windows, x):
    def loss(pooled):
        passed, mean = pooled
        return passed.pow(3).sum() + mean.pow(3).sum()

    found = torch.autograd.grad(loss(pool_in_passing(x, windows, EXTENT)), x)
    expected = torch.autograd.grad(loss((x, window_means(x, windows, EXTENT))), x)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize('windows', [(), (2, 2)])
def test_half_precision_is_summed_in_float32(windows):
    x = torch.full((2, 1, 512, 512), 2.0, dtype=torch.half)
    x[0, :, 256:] = 1000
    x.requires_grad_()
    extent = Extent(Pictures([(256, 512), (512, 512)], (512, 512)))
    mean = pool_in_passing(x, windows, extent)[1]
    assert mean.dtype == torch.float and (mean == 2).all()
    (grad,) = torch.autograd.grad(mean, x, torch.full_like(mean, 1e6))
    assert not grad[0, :, 256:].any()
    parts = 4 if windows else 1
    torch.testing.assert_close(grad[0, :, :256], torch.full_like(grad[0, :, :256], parts * 1e6 / 2**17))


def test_pictures_that_fill_their_inputs_are_pooled_by_the_same_operations(pool, x):
    assert torch.equal(pool(x, Extent(Pictures.filling(x))), pool(x, None))


@pytest.mark.parametrize('stride', [2, 4, 32])
def test_a_picture_fills_as_much_as_the_map_of_it_alone_is_large(stride):
    def size(n):  # of what a convolution of this stride gives, padded by half its window
        return -(-n // stride)

    for part in range(1, 97):
        x = torch.zeros(1, 1, size(96), size(96))
        areas = Extent(Pictures([(part, 96)], (96, 96))).areas(x)
        assert areas == (None if size(part) == size(96) else [Area(1, size(part), size(96))])


def test_unknown_pictures_are_an_error(pool, x):
    with pytest.raises(ValueError, match=r"not known here .* data samples, .* img_shape .* attention_extent='input'"):
        pool(x, Extent())


@pytest.mark.parametrize('shape', [(4, 3, 8, 8), (10, 3, 8, 8), (5, 3, 64), (5, 3, 2, 8, 8)])
def test_maps_of_something_else_are_an_error(pool, shape):
    with pytest.raises(ValueError, match=r'5 pictures, but a dynamic layer got an input of shape \(\d+, 3'):
        pool(torch.zeros(shape), EXTENT)
