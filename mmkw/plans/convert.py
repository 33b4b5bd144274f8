"""Moving the convolutions of a network into warehouses."""

from collections.abc import Mapping
from difflib import get_close_matches

from torch import nn

from mmkw.layers import KWConv1d, KWConv2d, KWConv3d, KWConvNd, KWLinear, Warehouse, Warehouses, guard
from mmkw.ops import num_mixtures

from .plan import WarehousePlan
from .sharing import kernel_shape, split_by_sharing

_KW_LAYERS: dict[type[nn.Module], type[KWConvNd]] = {
    nn.Conv1d: KWConv1d,
    nn.Conv2d: KWConv2d,
    nn.Conv3d: KWConv3d,
    nn.Linear: KWLinear,
}


def register_layer(plain: type[nn.Module], kw_layer: type[KWConvNd]) -> None:
    """Let a layer class with a forward of its own be converted too.

    Args:
        plain: A subclass of torch's convolutions or of ``nn.Linear``. Its own subclasses are not meant.
        kw_layer: The KW layer that does the same with kernels from a warehouse; it is built with the arguments of
            :class:`mmkw.layers.KWConvNd`, or of KWLinear.
    """
    _KW_LAYERS[plain] = kw_layer


def plain_class(layer: KWConvNd) -> type[nn.Module]:
    """What :func:`convert` makes such a KW layer of: the class that was registered first.

    Raises:
        ValueError: If none was.
    """
    for plain, kw_layer in _KW_LAYERS.items():
        if kw_layer is type(layer):
            return plain
    raise ValueError(f'no plain class is known for a {type(layer).__name__}; name it with mmkw.plans.register_layer')


def is_convertible(layer: nn.Module) -> bool:
    """Whether :func:`convert` knows what to put in the place of such a layer."""
    return type(layer) in _KW_LAYERS


def convert(model: nn.Module, plan: Mapping[str, WarehousePlan]) -> nn.Module:
    """Replace, in place, the layers that a plan names by KernelWarehouse layers.

    Each keeps its name and its bias; the warehouses sit at ``model.warehouses``, one parameter under each name of the
    plan (or of what it is split into, see :func:`split_by_sharing`), in order of first use. Cells and attentions are
    freshly initialised, the temperature is 0. What was frozen stays so: an attention with its layer, and a warehouse if
    all layers that share it are.

    Args:
        model: Any network.
        plan: Warehouse name -> :class:`WarehousePlan`.

    Returns:
        The same model.

    Raises:
        ValueError: If the plan names a layer that is not there, one that cannot be converted or one layer twice, or a
            warehouse cannot be cut as asked. The model is then unchanged.
    """
    if hasattr(model, 'warehouses'):
        raise ValueError(f'{type(model).__name__} already has an attribute `warehouses`; convert a plain network, once')
    _check_layers(model, plan)
    plan = split_by_sharing(plan, model)
    group_of = {name: group for group, spec in plan.items() for name in spec.layers}
    plain = {name: module for name, module in model.named_modules() if name in group_of}

    store = Warehouses()
    warehouses: dict[str, Warehouse] = {}
    for group in dict.fromkeys(group_of[name] for name in plain):
        spec = plan[group]
        kernels = [*(kernel_shape(plain[name]) for name in spec.layers), *spec.absent]
        warehouses[group] = Warehouse(
            store,
            group,
            kernels,
            spec.budget,
            spec.cell_inplane_ratio,
            spec.cell_outplane_ratio,
            spec.spatial_partition,
            spec.channel_partition,
        )
    converted = {
        name: _kw_layer(name, module, warehouses[group_of[name]], plan[group_of[name]])
        for name, module in plain.items()
    }
    for group, warehouse in warehouses.items():
        for kernel in plan[group].absent:
            warehouse.take(num_mixtures(kernel, warehouse.cell))
        warehouse.close()

    reference = next(iter(plain.values())).weight
    model.warehouses = store.to(reference.device, reference.dtype)
    guard(model)
    for group in warehouses:
        store[group].requires_grad_(any(plain[name].weight.requires_grad for name in plan[group].layers))
    for name, layer in converted.items():
        parent, _, leaf = name.rpartition('.')
        setattr(model.get_submodule(parent), leaf, layer)
    return model


def _check_layers(model: nn.Module, plan: Mapping[str, WarehousePlan]) -> None:
    modules = dict(model.named_modules())
    group_of: dict[str, str] = {}
    for group, spec in plan.items():
        if not spec.layers:
            raise ValueError(f'warehouse {group!r} of the plan has no layer')
        for name in spec.layers:
            if name not in modules:
                close = get_close_matches(name, modules, n=3)
                hint = f'; did you mean {" or ".join(close)}?' if close else ''
                raise ValueError(f'the plan puts {name!r} into {group!r}, but the network has no such layer{hint}')
            if not is_convertible(modules[name]):
                raise ValueError(
                    f'the plan names {name!r}, a {type(modules[name]).__name__}; only nn.Conv1d, nn.Conv2d, nn.Conv3d '
                    'and nn.Linear themselves can be moved into a warehouse, and what mmkw.plans.register_layer named: '
                    'build the network of those (in OpenMMLab without a conv_cfg), or leave the layer out of the plan'
                )
            if name in group_of:
                raise ValueError(f'the plan names {name!r} twice, in {group_of[name]!r} and in {group!r}')
            group_of[name] = group
    if not group_of:
        raise ValueError('the plan names no layer')


def _kw_layer(name: str, layer: nn.Module, warehouse: Warehouse, spec: WarehousePlan) -> KWConvNd:
    settings = dict(
        bias=layer.bias is not None,
        warehouse=warehouse,
        reduction=spec.reduction,
        norm=spec.norm,
        nonlocal_basis_ratio=spec.nonlocal_basis_ratio,
        attention=spec.attention,
        start=spec.start,
        share_cells=spec.sharing != 'none',
    )
    if isinstance(layer, nn.Linear):
        kw_layer = _KW_LAYERS[type(layer)](layer.in_features, layer.out_features, **settings)
    else:
        kw_layer = _KW_LAYERS[type(layer)](
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,
            layer.stride,
            layer.padding,
            layer.dilation,
            layer.groups,
            padding_mode=layer.padding_mode,
            **settings,
        )
    kw_layer.to(layer.weight.device, layer.weight.dtype).train(layer.training)
    kw_layer.attention.requires_grad_(layer.weight.requires_grad)
    kw_layer.bias = layer.bias
    return kw_layer
