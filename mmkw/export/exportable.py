"""Forms of the KernelWarehouse convolution that ONNX can hold."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch.nn.functional as F
from torch import Tensor, nn

from mmkw.layers import KWConvNd
from mmkw.ops import assemble_kernel, dynamic_conv

Pair = tuple[int, int]


def check_exportable(model: nn.Module) -> None:
    """Check that every KernelWarehouse layer has a form for ONNX.

    Raises:
        ValueError: If one is a 3-d convolution.
    """
    for name, layer in model.named_modules():
        if isinstance(layer, KWConvNd) and layer.dims > 2:
            raise ValueError(
                f'{name!r} is a {type(layer).__name__}: only 1-d and 2-d convolutions have a form for ONNX'
            )


@contextmanager
def exportable(model: nn.Module, dynamic_batch: bool) -> Iterator[None]:
    """Let the KernelWarehouse layers of a network compute in operations that ONNX has; for inference.

    The usual form, one convolution of ``batch * groups`` groups, holds for one batch size, since ONNX's ``group`` is a
    constant (onnx/onnx issues 3843 and 3889). With a dynamic batch, samples' kernels are multiplied with their unfolded
    patches instead, ``(B, g, O/g, K) @ (B, g, K, positions)``; that needs K times the input's memory for a window of K.

    Args:
        model: The network.
        dynamic_batch: Whether the batch size is to stay open.

    Raises:
        ValueError: See :func:`check_exportable`.
    """
    check_exportable(model)
    form = _by_matmul if dynamic_batch else _by_groups

    def forward(layer: KWConvNd, x: Tensor) -> Tensor:
        return _convolve(layer, x, form)

    # On the class: layers' own classes may do something before or after it, which has to stay.
    ordinary = KWConvNd.forward
    KWConvNd.forward = forward
    try:
        yield
    finally:
        KWConvNd.forward = ordinary


def _convolve(layer: KWConvNd, x: Tensor, form: Callable) -> Tensor:
    kernel = assemble_kernel(layer.alpha(x), layer.cells, layer.kernel_shape)
    if any(layer._pad_both_sides):
        x = F.pad(x, layer._pad_both_sides, mode='constant' if layer.padding_mode == 'zeros' else layer.padding_mode)
    stride, dilation = layer.stride, layer.dilation
    if layer.dims == 1:
        x, kernel, stride, dilation = x.unsqueeze(-1), kernel.unsqueeze(-1), (*stride, 1), (*dilation, 1)
    out = form(x, kernel, stride, dilation, layer.groups)
    if layer.bias is not None:
        out = out + layer.bias.view(1, -1, 1, 1)
    return out.squeeze(-1) if layer.dims == 1 else out


def _by_groups(x: Tensor, kernel: Tensor, stride: Pair, dilation: Pair, groups: int) -> Tensor:
    return dynamic_conv(x, kernel, None, stride, 0, dilation, groups)


def _by_matmul(x: Tensor, kernel: Tensor, stride: Pair, dilation: Pair, groups: int) -> Tensor:
    out_channels, window = kernel.shape[1], kernel.shape[3:]
    sizes = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], window, stride, dilation)]
    is_pointwise = tuple(window) == (1, 1)
    patches = x[:, :, :: stride[0], :: stride[1]] if is_pointwise else F.unfold(x, window, dilation, 0, stride)
    in_group = kernel.shape[2] * window.numel()
    kernel = kernel.reshape(-1, groups, out_channels // groups, in_group)
    out = kernel @ patches.reshape(-1, groups, in_group, sizes[0] * sizes[1])
    return out.reshape(-1, out_channels, *sizes)
