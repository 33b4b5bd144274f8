"""What becomes of a group of layers that share a warehouse, and how far they share it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from torch import nn

from mmkw.layers.spec import Spec, kernel_shape, layer_like
from mmkw.ops import Cut, num_mixtures

from .conv import KWConv1d, KWConv2d, KWConv3d, KWLinear
from .warehouse import Warehouse, Warehouses

_LAYERS = {nn.Conv1d: KWConv1d, nn.Conv2d: KWConv2d, nn.Conv3d: KWConv3d, nn.Linear: KWLinear}
_SHARINGS = ('stage', 'shape', 'layer', 'none')


@dataclass(frozen=True)
class WarehousePlan(Spec):
    """One warehouse: the layers that share it, and how their kernels are cut and weighed.

    The warehouses of a network sit at ``network.warehouses``, one parameter under the name of each group.

    Args:
        layers: Names of the layers, as in ``named_modules()``.
        budget: Convolutional parameter budget b.
        cell_inplane_ratio, cell_outplane_ratio, spatial_partition, channel_partition: See :class:`mmkw.ops.Cut`.
        reduction, norm, nonlocal_basis_ratio: See :class:`mmkw.layers.KWAttention`.
        attention, start, attention_init: See :class:`mmkw.layers.KWConvNd`.
        sharing: Who shares cells: the layers of the ``'stage'``, which are all that are listed; only those among them
            whose kernels have the same ``'shape'``; only the mixtures of one ``'layer'``; or ``'none'``, where each
            mixture has ``budget`` cells of its own. See :meth:`split`. Default: ``'stage'``.
        absent: Kernel shapes ``(O, I / groups, *window)`` of layers that the network was built without, as a detector's
            backbone is without its last stage, and that would come after ``layers``. They count in the warehouse's
            cells and in how kernels are cut, so that the layers that are there are as in the whole network.
            Default: none.

    Raises:
        ValueError: If the cut is not possible, or ``sharing`` is unknown.
    """

    layers: Sequence[str]
    budget: float = 1.0
    cell_inplane_ratio: float = 1.0
    cell_outplane_ratio: float = 1.0
    spatial_partition: bool = True
    channel_partition: bool = True
    reduction: float = 1 / 16
    norm: str = 'BN'
    nonlocal_basis_ratio: float = 1.0
    attention: str = 'caf'
    start: str = 'one_to_one'
    attention_init: str = 'random'
    sharing: str = 'stage'
    absent: Sequence[tuple[int, ...]] = ()

    @property
    def cut(self) -> Cut:
        """How the kernels are cut into cells."""
        return Cut(self.cell_inplane_ratio, self.cell_outplane_ratio, self.spatial_partition, self.channel_partition)

    def split(self, group: str, plain: Mapping[str, nn.Module]) -> Mapping[str, 'WarehousePlan']:
        """Split the warehouse as its ``sharing`` asks.

        ``'stage'`` leaves it whole. ``'shape'`` makes one for each kernel shape, such as ``stage0_64x64x3x3``; what is
        not partitioned has to agree in a warehouse, so this is what spatial or channel partition off need where shapes
        differ. ``'layer'`` makes one for each layer, such as ``stage0_layer1_0_conv1``. ``'none'`` does too, and
        besides gives each mixture its own cells (:class:`mmkw.layers.KWConvNd`, ``share_cells``). A split-off warehouse
        of a single layer has no cells of other layers, and so not the attention's basis form.
        """
        if self.sharing not in _SHARINGS:
            raise ValueError(f'sharing of {group!r} must be one of {", ".join(_SHARINGS)}, got {self.sharing!r}')
        if self.sharing == 'stage':
            return {group: self}
        parts: dict[str, list[str]] = defaultdict(list)
        absent: dict[str, list[tuple[int, ...]]] = defaultdict(list)
        for layer in self.layers:
            by_shape = _by_shape(group, kernel_shape(plain[layer]))
            parts[by_shape if self.sharing == 'shape' else f'{group}_{layer.replace(".", "_")}'].append(layer)
        for kernel in self.absent if self.sharing == 'shape' else ():
            absent[_by_shape(group, kernel)].append(kernel)
        return {
            part: replace(
                self,
                layers=tuple(layers),
                absent=tuple(absent[part]),
                nonlocal_basis_ratio=self.nonlocal_basis_ratio if len(layers) + len(absent[part]) > 1 else 1.0,
            )
            for part, layers in parts.items()
        }

    def build(
        self, group: str, plain: Mapping[str, nn.Module], shared: dict[str, nn.Module]
    ) -> Mapping[str, nn.Module]:
        """Build the warehouse and the layers; see :class:`mmkw.layers.Spec`.

        A warehouse is frozen if all layers that share it were.
        """
        store = shared.setdefault('warehouses', Warehouses())
        kernels = [*(kernel_shape(layer) for layer in plain.values()), *self.absent]
        warehouse = Warehouse(store, group, kernels, self.budget, self.cut)
        settings = dict(
            warehouse=warehouse,
            reduction=self.reduction,
            norm=self.norm,
            nonlocal_basis_ratio=self.nonlocal_basis_ratio,
            attention=self.attention,
            start=self.start,
            attention_init=self.attention_init,
            share_cells=self.sharing != 'none',
        )
        layers = {name: layer_like(layer, _LAYERS, **settings) for name, layer in plain.items()}
        for kernel in self.absent:
            warehouse.take(num_mixtures(kernel, warehouse.cell))
        warehouse.close()
        reference = next(iter(plain.values())).weight
        store.to(reference.device, reference.dtype)
        store[group].requires_grad_(any(layer.weight.requires_grad for layer in plain.values()))
        return layers


def _by_shape(group: str, kernel: Sequence[int]) -> str:
    return f'{group}_{"x".join(map(str, kernel))}'
