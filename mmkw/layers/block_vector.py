"""A vector that a block's input decides and that all dynamic layers of the block use."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Optional

from torch import Tensor, nn

from mmkw.ops._pooling import means, pool_in_passing
from mmkw.ops.autocast import no_autocast

from .base import DynamicConvNd
from .dynamic import SharedState
from .spec import LayerSpec, in_channels_of, layer_like


class BlockVector(SharedState):
    """Makes the vector, ``fc(GAP(x))``, where the first layer of the block runs, and hands it to the others.

    The layer that joins first leads: its input is the block's. Each pass of it makes a new vector, which each of the
    others uses once; after the last one nothing is kept.

    Args:
        in_channels: Width of the block's input.
        width: Length of the vector.
    """

    # Of the pass that runs, and the places of the layers that have not used it yet.
    _vector: Optional[Tensor]
    _waiting: tuple[int, ...]

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.fc = nn.Linear(in_channels, width)
        self.reset_parameters()
        self.layers = 0
        self._forget()

    def reset_parameters(self) -> None:
        """Initialise as at first."""
        self.fc.reset_parameters()

    def join(self) -> int:
        """Count one more layer of the block, and return its place; the leading layer's is 0."""
        self.layers += 1
        return self.layers - 1

    def make(self, pooled: Tensor) -> Tensor:
        """Make the vector ``(B, width)`` of the pooled input ``(B, in_channels)``, in the type of the weights."""
        with no_autocast(pooled.device.type):
            vector = self.fc(pooled.to(self.fc.weight.dtype))
        self._waiting = tuple(range(1, self.layers))
        self._vector = vector if self._waiting else None
        return vector

    def take(self, place: int, batch: int) -> Tensor:
        """The vector that the leading layer made, for the layer at this place.

        Raises:
            ValueError: If there is none that this layer has not used yet, or it is of another batch.
        """
        if self._vector is None or place not in self._waiting:
            raise ValueError(
                "this layer takes its block's vector from the first layer of the block, which has not run since this "
                'one did: run the block as a whole'
            )
        if self._vector.shape[0] != batch:
            raise ValueError(
                f"this layer got {batch} samples, but its block's vector is of {self._vector.shape[0]}: run the block "
                'as a whole'
            )
        return self._vector

    def used_by(self, place: int) -> None:
        """Note that the layer at this place has run."""
        self._waiting = tuple(other for other in self._waiting if other != place)
        if not self._waiting:
            self._forget()

    def _forget(self) -> None:
        self._vector, self._waiting = None, ()

    def __getstate__(self) -> dict[str, Any]:
        # A vector that is part of a graph can neither be copied nor pickled, and belongs to a single pass.
        return {**self.__dict__, '_vector': None, '_waiting': ()}


class BlockLayerNd(DynamicConvNd):
    """A dynamic convolution that sees its block's input, through a :class:`BlockVector`.

    A layer that is given none makes its own, as a submodule under ``vector_name``: it is a block by itself.
    """

    vector_name: str
    vector_class: type[BlockVector] = BlockVector

    def _join(self, vector: Optional[BlockVector], width: int) -> None:
        """Join the block's vector, or make one of this width.

        Raises:
            ValueError: If the block's has another width.
        """
        if vector is None:
            self.add_module(self.vector_name, self.vector_class(self.in_channels, width))
        elif vector.fc.out_features != width:
            raise ValueError(
                f'{type(self).__name__} needs a vector of {width} values for a block, got one of '
                f'{vector.fc.out_features}'
            )
        else:
            # Kept out of the submodules: the block owns its vector, a layer only looks into it.
            object.__setattr__(self, self.vector_name, vector)
        self.place = self.block_vector.join()

    @property
    def block_vector(self) -> BlockVector:
        """What makes the vector."""
        return getattr(self, self.vector_name)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``(B, in_channels, *size)``, each sample with its kernel."""
        try:
            return super().forward(x)
        finally:
            self.block_vector.used_by(self.place)

    def _vector(self, x: Tensor) -> Tensor:
        """The block's vector, ``(B, width)``, for a prepared input."""
        if self.place:
            return self.block_vector.take(self.place, x.shape[0])
        return self.block_vector.make(means(x, self.extent))

    def _vector_in_passing(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """A prepared input for its only other use, and the block's vector; see :func:`pool_in_passing`."""
        if self.place:
            return x, self.block_vector.take(self.place, x.shape[0])
        x, pooled = pool_in_passing(x, extent=self.extent)
        return x, self.block_vector.make(pooled)


@dataclass(frozen=True)
class BlockSpec(LayerSpec):
    """A block whose layers share a :class:`BlockVector`, which the block then has under the layers' ``vector_name``.

    The group has the name of the block. A single layer needs no block: it makes its vector itself.

    Args:
        layers: Names of the layers in the order of the forward pass; the first one's input is the block's.
    """

    member: ClassVar[type[BlockLayerNd]]

    def vector_width(self, in_channels: int) -> int:
        """Length of the vector of a block with an input of this width."""
        raise NotImplementedError

    def build(
        self, group: str, plain: Mapping[str, nn.Module], shared: dict[str, nn.Module]
    ) -> Mapping[str, nn.Module]:
        """Build the vector and the layers; see :class:`mmkw.layers.Spec`.

        The vector is frozen if all layers of the block were.

        Raises:
            ValueError: If the group is not the name of a block that holds the layers.
        """
        if len(self.layers) == 1:
            return super().build(group, plain, shared)
        for name in self.layers:
            if not name.startswith(f'{group}.'):
                raise ValueError(f'{group!r} is to be the name of the block that holds {name!r}, but it is not')
        first = plain[self.layers[0]]
        in_channels = in_channels_of(first)
        vector = self.member.vector_class(in_channels, self.vector_width(in_channels))
        settings = {**self.settings(), self.member.vector_name: vector}
        layers = {name: layer_like(plain[name], self.classes, **settings) for name in self.layers}
        vector.to(first.weight.device, first.weight.dtype).train(first.training)
        vector.requires_grad_(any(layer.weight.requires_grad for layer in plain.values()))
        shared[f'{group}.{self.member.vector_name}'] = vector
        return layers
