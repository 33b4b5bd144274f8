"""Convolving samples with kernels of their own, forward and backward.

A pointwise convolution is one matrix product a sample; any other is one convolution of ``B * groups`` groups, and, on
CPUs, the gradient of wide kernels a product with the input's patches.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .products import batched_product, product
from .textbook import dynamic_conv

# Patches are worth their memory traffic for kernels of so many output channels.
PATCHES_FROM = 256
# Wide windowed kernels are convolved sample by sample on CPUs: oneDNN lays out less at a time.
SINGLY_FROM = 2**19


class Geometry(NamedTuple):
    """A layer's weight shape ``(O, I / groups, *window)`` and torch's arguments of a convolution."""

    kernel: Sequence[int]
    stride: Sequence[int]
    padding: Sequence[int]
    dilation: Sequence[int]
    groups: int

    @property
    def is_pointwise(self) -> bool:
        return math.prod(self.kernel[2:]) == 1 and self.groups == 1 and not any(self.padding)

    @property
    def pointwise_index(self) -> tuple:
        """Index of the positions of the input that a pointwise convolution uses."""
        return (..., *(slice(None, None, step) for step in self.stride))


def convolve(x: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """Convolve sample b of ``(B, I, *size)`` with ``weight[b]`` of ``(B, O, I / groups, *window)``.

    Returns:
        ``(B, O, *output size)``, laid out as the input (channels first or last).
    """
    layout = _memory_format(x)
    if geometry.is_pointwise:
        x = x[geometry.pointwise_index]
        return _multiply(weight.flatten(2), x, layout)
    is_wide = math.prod(geometry.kernel) >= SINGLY_FROM and geometry.groups == 1 and max(geometry.stride) == 1
    samples = 1 if is_wide and x.device.type == 'cpu' and x.dtype == torch.float32 else len(x)
    outs = [
        dynamic_conv(sample, kernels, None, *geometry[1:])
        for sample, kernels in zip(x.split(samples), weight.split(samples))
    ]
    return (outs[0] if len(outs) == 1 else torch.cat(outs)).contiguous(memory_format=layout)


def input_gradient(grad: Tensor, x: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """Gradient of x, from that of the output."""
    if not geometry.is_pointwise:
        dx, _, _ = _convolution_backward(grad, x, weight, geometry, (True, False, False))
        return dx.reshape(x.shape)
    dx = _multiply(weight.flatten(2).transpose(1, 2), grad, _memory_format(x))
    if dx.shape == x.shape:
        return dx
    whole = torch.zeros_like(x)
    whole[geometry.pointwise_index] = dx
    return whole


def kernel_gradient(out: Tensor, grad: Tensor, x: Tensor, geometry: Geometry) -> None:
    """Write the gradients of the kernels, from that of the output.

    Args:
        out: A view in kernel order, ``(B, G_o, co, positions, cell_window, G_i, ci)``: the first and second axes after
            B make up the output channels, the next two the window, the last two the input channels.
    """
    if geometry.is_pointwise:
        batched_product(grad.flatten(2), x[geometry.pointwise_index].flatten(2), out)
    elif geometry.groups == 1 and geometry.kernel[0] >= PATCHES_FROM and x.device.type == 'cpu':
        for target, of_sample, sample in zip(out, grad, x):
            patches = _patches(sample, geometry, of_sample.shape[1:])
            target.copy_(product(of_sample.flatten(1), patches).view(target.shape))
    else:
        weight = x.new_empty(len(x), *geometry.kernel)  # its values do not matter
        _, dweight, _ = _convolution_backward(grad, x, weight, geometry, (False, True, False))
        samples, blocks_out, co, positions, cell_window, blocks_in, ci = out.shape
        dweight = dweight.reshape(samples, blocks_out, co, blocks_in, ci, positions, cell_window)
        out.copy_(dweight.permute(0, 1, 2, 5, 6, 3, 4))


def _multiply(weight: Tensor, x: Tensor, layout: torch.memory_format) -> Tensor:
    """``weight @ x`` at every position, ``(B, O, K)`` and ``(B, K, *size)``, in the layout asked for."""
    size, x = x.shape[2:], x.flatten(2)
    if layout == torch.contiguous_format:
        out = batched_product(weight, x.transpose(1, 2))
    else:  # positions come before channels
        out = batched_product(x.transpose(1, 2), weight).transpose(1, 2)
    return out.unflatten(2, size)


def _joined(x: Tensor) -> Tensor:
    return x.reshape(1, -1, *x.shape[2:])


def _convolution_backward(
    grad: Tensor, x: Tensor, weight: Tensor, geometry: Geometry, mask: tuple[bool, bool, bool]
) -> tuple[Tensor, Tensor, Tensor]:
    *shape, groups = geometry[1:]
    output_padding = [0] * (x.dim() - 2)
    return torch.ops.aten.convolution_backward(
        _joined(grad), _joined(x), weight.flatten(0, 1), None, *shape, False, output_padding, len(x) * groups, mask
    )


def _patches(x: Tensor, geometry: Geometry, size: Sequence[int]) -> Tensor:
    """What each value of a kernel meets in a sample: ``(window * I, positions)``."""
    padded = F.pad(x, [side for padding in reversed(geometry.padding) for side in (padding, padding)])
    channels, *axes = padded.stride()
    steps = [step * dilation for step, dilation in zip(axes, geometry.dilation)]
    steps += [channels, *(step * stride for step, stride in zip(axes, geometry.stride))]
    window = geometry.kernel[2:]
    return padded.as_strided((*window, len(x), *size), steps).reshape(math.prod(window) * len(x), -1)


def _memory_format(x: Tensor) -> torch.memory_format:
    for dims, channels_last in ((4, torch.channels_last), (5, torch.channels_last_3d)):
        if x.dim() == dims and x.is_contiguous(memory_format=channels_last) and not x.is_contiguous():
            return channels_last
    return torch.contiguous_format
