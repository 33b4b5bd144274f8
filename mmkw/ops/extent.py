"""How much of a padded batch each picture fills, for attention that pools over the pictures alone."""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple, Optional

from torch import Tensor


class Pictures(NamedTuple):
    """The pictures of a batch, each in the top left corner of its padded input.

    Args:
        sizes: Height and width of each picture.
        padded: Height and width of the inputs.
    """

    sizes: Sequence[tuple[int, int]]
    padded: tuple[int, int]

    @classmethod
    def filling(cls, x: Tensor) -> 'Pictures':
        """Pictures that fill their inputs ``(B, C, H, W)``."""
        size = tuple(x.shape[-2:])
        return cls([size] * len(x), size)


class Area(NamedTuple):
    """The rows and columns that a run of samples fills in a map."""

    samples: int
    rows: int
    columns: int


class Extent:
    """What a network's layers that pool over the pictures alone have in common: which pictures are in their inputs.

    A picture fills ``ceil(size * n / padded)`` of the n rows or columns of a map. Where the padded input is a multiple
    of the map's stride, these are as many as the map of the picture alone has.

    Args:
        pictures: Those of the pass that runs; None while nobody knows.
    """

    def __init__(self, pictures: Optional[Pictures] = None) -> None:
        self.pictures = pictures

    def areas(self, x: Tensor) -> Optional[list[Area]]:
        """What the pictures fill of a map ``(B, C, h, w)``; None if it is the whole map.

        Raises:
            ValueError: If the pictures are unknown, or the input is no map of theirs.
        """
        if self.pictures is None:
            raise ValueError(
                "attention_extent='picture': it is not known here how much of the batch each picture fills. A detector "
                'or classifier knows it if its forward gets data samples, each with img_shape in its meta data (name '
                "it in the pipeline's meta_keys). For anything else, such as an export, set attention_extent='input'"
            )
        sizes, padded = self.pictures
        if x.dim() != 4 or len(x) != len(sizes):
            raise ValueError(
                f"attention_extent='picture' is for maps (B, C, h, w) of the batch's {len(sizes)} pictures, but a "
                f'dynamic layer got an input of shape {tuple(x.shape)}: leave this layer plain'
            )
        filled = [[-(-part * n // whole) for part, n, whole in zip(size, x.shape[2:], padded)] for size in sizes]
        if all(area == list(x.shape[2:]) for area in filled):
            return None
        return [Area(len(list(run)), *area) for area, run in groupby(filled)]


def parts(x: Tensor, areas: Sequence[Area]) -> list[Tensor]:
    """Views of a map ``(B, C, h, w)``: what each run of samples fills of it."""
    pieces = x.split([area.samples for area in areas])
    return [piece[:, :, : area.rows, : area.columns] for piece, area in zip(pieces, areas)]
