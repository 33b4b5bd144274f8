"""Dynamic networks back to plain ones, whose kernels do not depend on the input."""

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Optional

import torch
from torch import Tensor, nn

from mmkw.layers import DynamicLayer, SharedState, dynamic_layers


def fold(model: nn.Module, alphas: Optional[Mapping[str, Tensor]] = None) -> nn.Module:
    """A plain copy of a network: every dynamic layer becomes torch's, under its own name.

    Exact where attention does not depend on the input: for KernelWarehouse at tau = 1 (section 3.3), where it is the
    start assignment. Of any other network it is an approximation, which :func:`output_difference` measures.

    Args:
        model: The network; it stays as it is.
        alphas: Layer name -> alpha, without the batch, that the layer is held at, as from :func:`mean_attention`.
            Default: None, for a network whose alpha does not depend on the input.

    Returns:
        The copy. Its state dict has only what the plain network has, and a bias where a method adds one of its own to
        a layer without.

    Raises:
        ValueError: If there is no dynamic layer, one of them has no alpha given, none is given and it depends on the
            input, or no plain layer does what one of them does.
    """
    layers = _layers(model)
    if alphas is None:
        alphas = {name: _fixed_alpha(name, layer) for name, layer in layers.items()}
    if set(alphas) != set(layers):
        odd = sorted(set(alphas) ^ set(layers))
        raise ValueError(f'one alpha is needed for each of the {len(layers)} dynamic layers, {odd[0]!r} does not match')
    plain = copy.deepcopy(model)
    with torch.no_grad():
        for name, layer in dynamic_layers(plain).items():
            parent, _, leaf = name.rpartition('.')
            setattr(plain.get_submodule(parent), leaf, layer.folded(alphas[name].to(next(layer.parameters()))))
    for parent in list(plain.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, SharedState):
                delattr(parent, name)
    return plain


def mean_attention(
    model: nn.Module, batches: Iterable[Any], forward: Optional[Callable[[Any], Any]] = None
) -> dict[str, Tensor]:
    """Mean alpha of each dynamic layer over a data set, at the network's temperature.

    Args:
        model: The network; it is run in evaluation mode.
        batches: What ``forward`` takes, one after another. Every sample counts the same.
        forward: Runs the network on a batch. Default: None, ``model`` itself.

    Returns:
        Layer name -> alpha without the batch, in float64; ``(m, n)`` of a KernelWarehouse layer.

    Raises:
        ValueError: If there is no dynamic layer, no batch, a layer that no batch reached or one that cannot be folded.
    """
    layers = _layers(model)
    sums: dict[str, Tensor] = {}
    counts = dict.fromkeys(layers, 0)

    def collect(name: str) -> Callable:
        def hook(layer: DynamicLayer, inputs: tuple[Tensor]) -> None:
            alpha = layer.alpha(layer.prepare(inputs[0])).double()  # the sums are long
            sums[name] = sums.get(name, 0) + alpha.sum(0)
            counts[name] += len(alpha)

        return hook

    hooks = [layer.register_forward_pre_hook(collect(name)) for name, layer in layers.items()]
    try:
        _run(model, batches, forward or model)
    finally:
        for hook in hooks:
            hook.remove()
    unreached = [name for name, count in counts.items() if not count]
    if unreached:
        raise ValueError(
            f'no data reached {unreached[0]!r} and {len(unreached) - 1} other dynamic layers; give some batches'
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


def _layers(model: nn.Module) -> dict[str, DynamicLayer]:
    layers = dynamic_layers(model)
    if not layers:
        raise ValueError(f'{type(model).__name__} has no dynamic layer to fold: it is plain already')
    if '' in layers:
        raise ValueError(f'{type(model).__name__} is a layer itself; fold the network that holds it')
    for name, layer in layers.items():
        try:
            layer.check_fold()
        except ValueError as error:
            raise ValueError(f'{name!r} cannot be folded: {error}') from error
    return layers


def _fixed_alpha(name: str, layer: DynamicLayer) -> Tensor:
    try:
        return layer.fixed_alpha()
    except ValueError as error:
        raise ValueError(
            f'the attention of {name!r} depends on the input ({error}): hold it at its mean over some data, '
            'or fold at a temperature at which it does not'
        ) from error


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
