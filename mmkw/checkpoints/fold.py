"""KernelWarehouse networks back to plain ones, whose kernels do not depend on the input."""

import copy
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Optional

import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmkw.layers import KWConvNd, KWLinear, Warehouses
from mmkw.ops import assemble_kernel
from mmkw.plans import plain_class
from mmkw.version import __version__

from .files import PathLike, build_model, check_keys, write_whole


def fold(model: nn.Module, attention: Optional[Mapping[str, Tensor]] = None) -> nn.Module:
    """A plain copy of a network: every KernelWarehouse layer becomes torch's, under its own name.

    Exact where attention does not depend on the input: at tau = 1 (section 3.3), where it is the start assignment. Of
    any other network it is an approximation, which :func:`output_difference` measures.

    Args:
        model: The network; it stays as it is.
        attention: Layer name -> alpha ``(m, n)`` that the layer is held at, as from :func:`mean_attention`. Default:
            None, the start assignment, for a network at tau = 1.

    Returns:
        The copy. Its state dict has neither warehouses nor attentions.

    Raises:
        ValueError: If there is no KW layer, one of them has no attention given, or none is given and tau is not 1.
    """
    layers = _kw_layers(model)
    if attention is None:
        attention = {name: _start_attention(name, layer) for name, layer in layers.items()}
    if set(attention) != set(layers):
        odd = sorted(set(attention) ^ set(layers))
        raise ValueError(f'one attention is needed for each of the {len(layers)} KW layers, {odd[0]!r} does not match')
    kernels = {
        name: assemble_kernel(attention[name].to(layer.cells)[None], layer.cells, layer.kernel_shape)[0]
        for name, layer in layers.items()
    }
    plain = copy.deepcopy(model)
    for name, kernel in kernels.items():
        _replace(plain, name, _plain_layer(plain.get_submodule(name), kernel.detach()))
    for parent in list(plain.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Warehouses):
                delattr(parent, name)
    return plain


def mean_attention(model: nn.Module, batches: Iterable[Any], forward: Optional[Callable[[Any], Any]] = None) -> dict:
    """Mean attention of each KernelWarehouse layer over a data set, at the network's temperature.

    Args:
        model: The network; it is run in evaluation mode.
        batches: What ``forward`` takes, one after another. Every sample counts the same.
        forward: Runs the network on a batch. Default: None, ``model`` itself.

    Returns:
        Layer name -> alpha ``(m, n)``.

    Raises:
        ValueError: If there is no KW layer, no batch, or a layer that no batch reached.
    """
    layers = _kw_layers(model)
    sums: dict[str, Tensor] = {}
    counts = dict.fromkeys(layers, 0)

    def collect(name: str) -> Callable:
        def hook(_module: nn.Module, _inputs: Any, logits: Tensor) -> None:
            alpha = layers[name].alpha_of(logits).double()  # long sums
            sums[name] = sums.get(name, 0) + alpha.sum(0)
            counts[name] += len(alpha)

        return hook

    hooks = [layer.attention.register_forward_hook(collect(name)) for name, layer in layers.items()]
    try:
        _run(model, batches, forward or model)
    finally:
        for hook in hooks:
            hook.remove()
    unreached = [name for name, count in counts.items() if not count]
    if unreached:
        raise ValueError(
            f'no data reached {unreached[0]!r} and {len(unreached) - 1} other KW layers; give some batches'
        )
    return {name: sums[name] / counts[name] for name in layers}


def output_difference(
    model: nn.Module, other: nn.Module, batches: Iterable[Any], forward: Callable[[nn.Module, Any], Any]
) -> float:
    """Relative difference of two networks' outputs, ``||other - model|| / ||model||`` over all batches.

    Args:
        model: The network to compare with.
        other: The other one, such as the first one folded. Both are run in evaluation mode.
        batches: What ``forward`` takes.
        forward: Runs one of the two on a batch and returns a tensor, or tensors in tuples and lists.

    Raises:
        ValueError: If there is no batch.
    """
    squares = [0.0, 0.0]

    def compare(batch: Any) -> None:
        for expected, found in zip(_tensors(forward(model, batch)), _tensors(forward(other, batch))):
            squares[0] += (found.double() - expected.double()).square().sum().item()
            squares[1] += expected.double().square().sum().item()

    _run(other, batches, lambda batch: _run(model, [batch], compare))
    if not squares[1]:
        raise ValueError('the outputs cannot be compared: there was no batch, or all outputs are 0')
    return (squares[0] / squares[1]) ** 0.5


def write_folded(plain: nn.Module, target: PathLike, plain_config: Optional[PathLike] = None, **meta: Any) -> Path:
    """Write a folded network as a checkpoint for mmdet or mmpretrain, whole or not at all.

    Args:
        plain: As :func:`fold` returns it.
        target: The file.
        plain_config: Config of the plain model that is to load it. All keys and shapes are checked against that model,
            and values are brought to its shapes where these differ in axes of length 1 alone (mmpretrain's ConvNeXt has
            Linear layers where KWConvNeXt has 1x1 convolutions). Default: None, no check.
        **meta: Noted in the file.

    Raises:
        ValueError: If the plain model cannot load it. No file is written.
    """
    state = plain.state_dict()
    if plain_config is not None:
        expected = build_model(Config.fromfile(plain_config)).state_dict()
        for key, value in expected.items():
            if key in state and state[key].squeeze().shape == value.squeeze().shape:
                state[key] = state[key].reshape(value.shape)
        check_keys(state, expected, f'the folded model is none of {plain_config}')
    content = dict(meta=dict(mmkw_version=__version__, **meta), state_dict=state)
    return write_whole(target, lambda path: torch.save(content, path))


def _kw_layers(model: nn.Module) -> dict[str, KWConvNd]:
    layers = {name: module for name, module in model.named_modules() if isinstance(module, KWConvNd)}
    if not layers:
        raise ValueError(f'{type(model).__name__} has no KernelWarehouse layer to fold: it is plain already')
    if '' in layers:
        raise ValueError(f'{type(model).__name__} is a layer itself; fold the network that holds it')
    return layers


def _start_attention(name: str, layer: KWConvNd) -> Tensor:
    temperature = float(layer.warehouses.temperature)
    if temperature != 1 or layer.start_strategy == 'none':
        found = f'tau = {temperature:g}' if temperature != 1 else "start='none'"
        raise ValueError(
            f'the attention of {name!r} depends on the input ({found}): hold it at its mean over some data, '
            'or fold at tau = 1'
        )
    return layer.start


def _plain_layer(layer: KWConvNd, kernel: Tensor) -> nn.Module:
    kind, has_bias = plain_class(layer), layer.bias is not None
    with torch.device('meta'):
        if isinstance(layer, KWLinear):
            plain = kind(layer.in_features, layer.out_features, has_bias)
            kernel = kernel.squeeze(-1)
        else:
            own = dict(dilation=layer.dilation, groups=layer.groups, bias=has_bias)
            if layer.padding_mode != 'zeros':  # subclasses of torch's convolutions may not take it
                own['padding_mode'] = layer.padding_mode
            sizes = (layer.kernel_size, layer.stride, layer.padding)
            plain = kind(layer.in_channels, layer.out_channels, *sizes, **own)
    plain.weight = nn.Parameter(kernel.clone())
    plain.bias = layer.bias
    return plain.train(layer.training)


def _replace(model: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, leaf = name.rpartition('.')
    setattr(model.get_submodule(parent), leaf, layer)


def _run(model: nn.Module, batches: Iterable[Any], forward: Callable[[Any], Any]) -> None:
    was_training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            for batch in batches:
                forward(batch)
    finally:
        for module, mode in was_training.items():
            module.training = mode


def _tensors(outputs: Any) -> list[Tensor]:
    return [outputs] if isinstance(outputs, Tensor) else [tensor for out in outputs for tensor in _tensors(out)]
