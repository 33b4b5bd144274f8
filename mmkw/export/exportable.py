"""Lets dynamic layers convolve each sample with its own kernel in operations that ONNX has."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Optional, Union

import torch.nn.functional as F
from torch import Tensor, nn

from mmkw.layers import DynamicConvNd, by_definition, dynamic_layers, pools_over_pictures
from mmkw.ops import dynamic_conv

Sizes = Union[int, Sequence[int]]


def check_exportable(model: nn.Module) -> None:
    """Check that every dynamic layer has a form for ONNX.

    Raises:
        ValueError: If one is a 3-d convolution, or pools over each picture's own extent, which a graph is not told.
    """
    if pools_over_pictures(model):
        raise ValueError(
            "attention_extent='picture' cannot be exported, as a graph is not told how large each picture is; with "
            "attention_extent='input' it is the same network for inputs without padding"
        )
    for name, layer in dynamic_layers(model).items():
        if isinstance(layer, DynamicConvNd) and layer.dims > 2:
            raise ValueError(
                f'{name!r} is a {type(layer).__name__}: only 1-d and 2-d convolutions have a form for ONNX'
            )


@contextmanager
def exportable(model: nn.Module, dynamic_batch: bool) -> Iterator[None]:
    """Let the dynamic layers of a network compute in operations that ONNX has; for inference.

    The usual form, one convolution of ``batch * groups`` groups, holds for one batch size, since ONNX's ``group`` is a
    constant (onnx/onnx issues 3843 and 3889). With a dynamic batch, samples' kernels are multiplied with their unfolded
    patches instead, ``(B, g, O/g, K) @ (B, g, K, positions)``, where K is the number of weights of an output channel.
    The patches of a window of k positions need k times the input's memory.

    What a layer keeps for inference at this moment becomes a constant (:func:`mmkw.set_inference_memory`).

    Args:
        model: The network.
        dynamic_batch: Whether the batch size is to stay open.

    Raises:
        ValueError: See :func:`check_exportable`.
    """
    check_exportable(model)
    with by_definition(model, _in_2d(_by_matmul if dynamic_batch else dynamic_conv), ready=True):
        yield


def _in_2d(form: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Make a convolution for 1-d and 2-d samples from one for 2-d samples without padding and bias."""

    def convolve(
        x: Tensor,
        kernel: Tensor,
        bias: Optional[Tensor],
        stride: Sequence[int],
        padding: Sizes,
        dilation: Sequence[int],
        groups: int,
    ) -> Tensor:
        dims = x.dim() - 2
        sides = [padding] * dims if isinstance(padding, int) else padding
        if any(sides):
            x = F.pad(x, [side for both in reversed(sides) for side in (both, both)])
        if dims == 1:
            x, kernel, stride, dilation = x.unsqueeze(-1), kernel.unsqueeze(-1), (*stride, 1), (*dilation, 1)
        out = form(x, kernel, None, stride, 0, dilation, groups)
        if bias is not None:
            out = out + bias.view(1, -1, 1, 1)
        return out.squeeze(-1) if dims == 1 else out

    return convolve


def _by_matmul(
    x: Tensor,
    kernel: Tensor,
    _bias: None,
    stride: Sequence[int],
    _padding: int,
    dilation: Sequence[int],
    groups: int,
) -> Tensor:
    out_channels, window = kernel.shape[1], kernel.shape[3:]
    sizes = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], window, stride, dilation)]
    is_pointwise = tuple(window) == (1, 1)
    patches = x[:, :, :: stride[0], :: stride[1]] if is_pointwise else F.unfold(x, window, dilation, 0, stride)
    in_group = kernel.shape[2] * window.numel()
    kernel = kernel.reshape(-1, groups, out_channels // groups, in_group)
    out = kernel @ patches.reshape(-1, groups, in_group, sizes[0] * sizes[1])
    return out.reshape(-1, out_channels, *sizes)
