"""Mixed bases that layers keep in inference, where weights stand: how long, and within which memory."""

import weakref
from collections.abc import Callable, Sequence
from typing import Any, Optional

import torch
from torch import Tensor, nn

from mmkw.ops.association import kept_values, worth_keeping

from .warehouse import Warehouses


class Kept:
    """What a layer has made of its weights, kept until one of them changes; no part of any state or copy.

    A change is noticed by a weight's identity, its memory, and torch's count of in-place operations. That count does
    not see what is written through ``.data``: the layer drops what it keeps whenever a mode is set, which all loops of
    OpenMMLab do after they have exchanged weights.

    Args:
        index: Index of the layer in :attr:`Warehouses.factors`.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self._kept: Optional[tuple[Sequence[weakref.ref], tuple, Any]] = None

    def get(self, weights: Sequence[Tensor], dtype: torch.dtype, make: Callable[[], Any]) -> Any:
        """What ``make`` makes of these weights for a type of input, made anew if it is not there or no longer holds."""
        kept, state = self._kept, (dtype, *((t._version, t.data_ptr(), t.dtype) for t in weights))
        if kept is not None and kept[1] == state and all(ref() is t for ref, t in zip(kept[0], weights)):
            return kept[2]
        self._kept = kept = None  # before the next takes memory
        made = make()
        self._kept = ([weakref.ref(t) for t in weights], state, made)
        return made

    @property
    def now(self) -> Any:
        """What is kept, whether or not it still holds; None if nothing."""
        return None if self._kept is None else self._kept[2]

    def drop(self) -> None:
        """Keep nothing, until asked again."""
        self._kept = None

    def __deepcopy__(self, memo: dict) -> 'Kept':
        return Kept(self.index)

    def __reduce__(self) -> tuple:
        return Kept, (self.index,)


class KeepingLayer(nn.Module):
    """What makes a layer drop what it keeps."""

    # None is a layer that can keep nothing.
    kept: Optional[Kept] = None

    @property
    def inference_memory(self) -> int:
        """Bytes of the mixed basis that it keeps in inference."""
        if self.kept is None or not self.warehouses.keeps(self.kept.index):
            return 0
        return self.factors.mixed_basis * self.cells.element_size()

    def train(self, mode: bool = True) -> nn.Module:
        """As in torch; what is kept for inference is dropped, whichever mode is set."""
        self._drop()
        return super().train(mode)

    def _apply(self, *args: Any, **kwargs: Any) -> nn.Module:
        self._drop()
        return super()._apply(*args, **kwargs)

    def _load_from_state_dict(self, *args: Any) -> None:
        self._drop()
        super()._load_from_state_dict(*args)

    def _drop(self) -> None:
        if self.kept is not None:
            self.kept.drop()


def set_inference_memory(model: nn.Module, size: Optional[int]) -> int:
    """Set how much memory the KernelWarehouse layers of a model may take in inference for mixed bases that they keep.

    In evaluation mode without gradients a layer mixes its kernels from the mixed basis (:mod:`mmkw.ops.association`),
    which it makes in the first pass and keeps while its weights stand. Which layers do is chosen for the whole model:
    those that save most work per byte. Training, loading, moving, and any change of a weight drop what is kept.

    Args:
        model: The model.
        size: Bytes, in the model's present type; 0 keeps nothing. None is the default of every model: as much as its
            warehouses take.

    Returns:
        Bytes that they will take, at most: a layer keeps its basis where the batch makes use of it.

    Raises:
        ValueError: If the size is below 0, or the model has no warehouses.
    """
    if size is not None and size < 0:
        raise ValueError(f'the memory for inference must be at least 0 bytes, got {size}')
    stores = [module for module in model.modules() if isinstance(module, Warehouses)]
    if not stores:
        raise ValueError(f'{type(model).__name__} has no warehouses, so nothing to keep for inference')
    item = next(stores[0].parameters()).element_size()
    if size is None:
        size = item * sum(p.numel() for store in stores for p in store.parameters())
    places = [(store, index) for store in stores for index in range(len(store.factors))]
    chosen = worth_keeping([store.factors[index] for store, index in places], size // item)
    for store in stores:
        store.kept_layers = frozenset(places[i][1] for i in chosen if places[i][0] is store)
    for module in model.modules():
        if isinstance(module, KeepingLayer):
            module._drop()
    return item * kept_values(places[i][0].factors[places[i][1]] for i in chosen)
