"""Lets the attention of a network pool over each picture's own extent, in place of the whole padded input."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Optional

from torch import Tensor, nn

from mmkw.ops.extent import Extent, Pictures

from .base import DynamicConvNd
from .dynamic import dynamic_layers
from .gates import Gate


def pool_over_pictures(model: nn.Module) -> None:
    """Let every dynamic layer of a network pool over the pictures alone, which :func:`known_pictures` names.

    Args:
        model: A network of 2-d dynamic convolutions, or gates. Its layers refuse a pass whose pictures are unknown.

    Raises:
        ValueError: If it has no dynamic layer, or one that sees no maps ``(B, C, h, w)``. Nothing is changed then.
    """
    layers = dynamic_layers(model)
    if not layers:
        raise ValueError(f"{type(model).__name__} has no dynamic layer: attention_extent='picture' would do nothing")
    for name, layer in layers.items():
        if isinstance(layer, DynamicConvNd) and layer.dims != 2:
            raise ValueError(
                f"attention_extent='picture' is for 2-d convolutions and gates, but {name!r} is a "
                f'{type(layer).__name__}: leave it plain, or build the network with convolutions in its place'
            )
    extent = Extent()
    for module in _pooling(model):
        module.extent = extent


def pictures_in(inputs: Tensor, data_samples: Optional[Sequence[Any]]) -> Optional[Pictures]:
    """The pictures of a batch ``(B, C, H, W)``, by ``img_shape`` of its data samples; None if one of them has none."""
    shapes = [getattr(sample, 'img_shape', None) for sample in data_samples or ()]
    sizes = [(shape[0], shape[1]) for shape in shapes if shape is not None]
    if not sizes or len(sizes) < len(shapes):
        return None
    return Pictures(sizes, (inputs.shape[-2], inputs.shape[-1]))


@contextmanager
def known_pictures(model: nn.Module, pictures: Optional[Pictures]) -> Iterator[None]:
    """Name the pictures of the passes in this context.

    Args:
        model: A network. Those of its layers that pool over all positions, as they do by default, are not concerned.
        pictures: Those of the batch; None if nobody knows.

    Raises:
        ValueError: If a picture has no size, or one larger than its input.
    """
    extents = _extents(model)
    if extents and pictures is not None:
        for size in pictures.sizes:
            if not all(1 <= part <= whole for part, whole in zip(size, pictures.padded)):
                raise ValueError(f'a picture of size {tuple(size)} does not fit in an input of {pictures.padded}')
    before = [extent.pictures for extent in extents]
    for extent in extents:
        extent.pictures = pictures
    try:
        yield
    finally:
        for extent, known in zip(extents, before):
            extent.pictures = known


def pictures_now(model: nn.Module) -> Optional[Pictures]:
    """The pictures that the layers of a network know of at this moment; None if they need none."""
    return next((extent.pictures for extent in _extents(model)), None)


def pools_over_pictures(model: nn.Module) -> bool:
    """Whether a network has a layer that needs to know the pictures."""
    return bool(_extents(model))


def _pooling(model: nn.Module) -> Iterator[nn.Module]:
    # A gate's extent is its own, not the norm's: tools put another norm in the place of that and keep the gate.
    return (module for module in model.modules() if isinstance(module, (DynamicConvNd, Gate)))


def _extents(model: nn.Module) -> list[Extent]:
    found = {id(module.extent): module.extent for module in _pooling(model) if module.extent is not None}
    return list(found.values())
