"""Where each method acts in a network; gates and DCD have files of their own."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional, Union

from torch import nn

from mmkw.layers import CGCSpec, CondConvSpec, DYConvSpec, ODConvSpec, Plan, WeightNetSpec

from .anatomy import Anatomy, anatomy_of, classifier_of, known_anatomy
from .chosen import blocks_by_hand, chosen_blocks, chosen_layers
from .registry import plan_named, register_method
from .settings import adjust


@register_method('KernelWarehouse')
def kernel_warehouse(
    network: nn.Module,
    budget: Union[float, str] = '1x',
    plan: str = 'auto',
    plan_cfg: Optional[Mapping[str, Any]] = None,
    warehouse_cfg: Optional[Mapping[str, Mapping[str, Any]]] = None,
    log: Callable[[str], None] = print,
    **switches: Any,
) -> Plan:
    """KernelWarehouse (Li & Yao, ICML 2024): warehouses that the layers of a stage share.

    Args:
        network: The plain network.
        budget: Convolutional parameter budget b, a number or text such as ``'1x'``, ``'4x'``. Default: ``'1x'``.
        plan: Registered name of the plan: ``'auto'``, ``'resnet'``, ``'mobilenet_v2'``, ``'convnext'``, ``'vit'``,
            ``'classifier'`` or what :func:`mmkw.plans.register_plan` added. Default: ``'auto'``.
        plan_cfg: Further arguments of the plan, such as ``dict(skip=['*.se.*'])``. Default: None.
        warehouse_cfg: Settings of single warehouses by hand, see :func:`mmkw.plans.adjust`. Default: None.
        log: Called with the table of an automatic plan. Default: print.
        **switches: Fields of :class:`mmkw.layers.WarehousePlan`, such as the switches of the paper's ablations, for all
            warehouses; None is as the plan says.
    """
    function = plan_named(plan)
    settings = dict(plan_cfg or {})
    if 'log' in inspect.signature(function).parameters:
        settings.setdefault('log', log)
    given = {name: value for name, value in switches.items() if value is not None}
    return adjust(adjust(function(network, budget, **settings), {'*': given}), warehouse_cfg)


@register_method('ODConv')
def odconv(
    network: nn.Module,
    kernels: int = 4,
    reduction: float = 1 / 16,
    skip: Sequence[str] = (),
    min_width: int = 16,
    log: Callable[[str], None] = print,
) -> Plan:
    """ODConv (Li et al., ICLR 2022), where its release has it: all convolutions but the first and the shortcuts'.

    Args:
        network: The plain network; in one that is no ResNet or MobileNetV2 all but the first 2-d convolution.
        kernels: Kernels of each layer. Default: 4.
        reduction: Hidden width of the attentions over their input width. Default: 1/16.
        skip: Names, or patterns such as ``'*.se.*'``, of layers to leave plain. Default: none.
        min_width: In other networks, convolutions with fewer input or output channels stay plain. Default: 16.
        log: Called with the list of the layers, and of what stays plain. Default: print.
    """
    layers = chosen_layers(network, 'ODConv', _places(network, shortcuts=False), skip, min_width, log)
    return {'ODConv': ODConvSpec(layers, kernels, reduction)}


@register_method('DYConv')
def dyconv(
    network: nn.Module,
    kernels: int = 4,
    reduction: float = 1 / 4,
    skip: Sequence[str] = (),
    min_width: int = 16,
    log: Callable[[str], None] = print,
) -> Plan:
    """DY-Conv (Chen et al., CVPR 2020) in all convolutions but the first, which gives the parameters published.

    Args:
        network: The plain network; in one that is no ResNet or MobileNetV2 all but the first 2-d convolution.
        kernels: Kernels of each layer. Default: 4.
        reduction: Hidden width of the attentions over their input width. Default: 1/4.
        skip, min_width, log: See :func:`odconv`.
    """
    layers = chosen_layers(network, 'DYConv', _places(network, shortcuts=True), skip, min_width, log)
    return {'DYConv': DYConvSpec(layers, kernels, reduction)}


@register_method('CondConv')
def condconv(
    network: nn.Module,
    experts: int = 8,
    blocks: Optional[Mapping[str, Sequence[str]]] = None,
    log: Callable[[str], None] = print,
) -> Plan:
    """CondConv (Yang et al., NeurIPS 2019) in the last 3 blocks of a ResNet or the last 6 of a MobileNetV2.

    In a block all layers but the shortcut's are replaced, and share a routing. The placement in ResNets is the one that
    gives the parameters published. A classifier becomes CondConv's, which has no bias.

    Args:
        network: The plain network, or a classification head of one linear layer.
        experts: Kernels of each layer. Default: 8.
        blocks: Other blocks, or those of another network: name of a block -> names of layers in it, in the order of the
            forward pass, the first of which sees the block's input, as ``{'layer4.0': ['conv1', 'conv2']}``.
            Default: None, as above.
        log: Called with the list of the layers, and of what stays plain. Default: print.

    Raises:
        ValueError: If the network's blocks are not known and none are given.
    """
    classifier = classifier_of(network)
    if classifier is not None:
        return {'classifier': CondConvSpec((classifier,), experts, bias=False)}
    if blocks is not None:
        places = blocks_by_hand('CondConv', blocks, log)
    else:
        anatomy = _known_blocks(network, 'CondConv')
        last = anatomy.blocks[-3 if anatomy.family == 'resnet' else -6 :]
        places = chosen_blocks(network, 'CondConv', last, shortcuts=False, log=log)
    return {block: CondConvSpec(layers, experts) for block, layers in places.items()}


@register_method('WeightNet')
def weightnet(
    network: nn.Module,
    m: int = 2,
    g: int = 2,
    reduction: float = 1 / 16,
    blocks: Optional[Mapping[str, Sequence[str]]] = None,
    log: Callable[[str], None] = print,
) -> Plan:
    """WeightNet (Ma et al., ECCV 2020) in all convolutions of all blocks, the shortcuts' included.

    The published network is a ShuffleNetV2; in ResNets this gives the parameters published to 0.02 M, and MobileNetV2
    is by analogy.

    Args:
        network: The plain network.
        m, g: M and G, see :class:`mmkw.layers.WeightNetConv2d`. Default: 2 and 2.
        reduction: Length of a block's vector over the width of its input. Default: 1/16.
        blocks, log: See :func:`condconv`.

    Raises:
        ValueError: If the network's blocks are not known and none are given.
    """
    if blocks is not None:
        places = blocks_by_hand('WeightNet', blocks, log)
    else:
        every = _known_blocks(network, 'WeightNet').blocks
        places = chosen_blocks(network, 'WeightNet', every, shortcuts=True, log=log)
    return {block: WeightNetSpec(layers, m, g, reduction) for block, layers in places.items()}


@register_method('CGC')
def cgc(network: nn.Module, skip: Sequence[str] = (), log: Callable[[str], None] = print) -> Plan:
    """CGC (Lin et al., ECCV 2020) in all 2-d convolutions that have a window and no groups, the first one too.

    Args:
        network: The plain network.
        skip: Names, or patterns such as ``'*.se.*'``, of layers to leave plain. Default: none.
        log: Called with the list of the layers, and of what stays plain. Default: print.

    Raises:
        ValueError: If there are none but the first, as in MobileNetV2.
    """

    def refusal(layer: nn.Module) -> Optional[str]:
        return 'it has no window' if math.prod(layer.kernel_size) == 1 else CGCSpec(()).refusal(layer)

    layers = chosen_layers(network, 'CGC', None, skip, 1, log, refusal, with_first=True)
    if layers == (next(name for name, m in network.named_modules() if isinstance(m, nn.Conv2d)),):
        raise ValueError(
            f'CGC has no place in a {type(network).__name__}: only its first convolution has a window and no groups'
        )
    return {'CGC': CGCSpec(layers)}


def _places(network: nn.Module, shortcuts: bool) -> Optional[list[str]]:
    """All convolutions of the blocks, and what follows them; None if the network's blocks are not known."""
    anatomy = anatomy_of(network)
    if anatomy is None:
        return None
    of_blocks = [name for block in anatomy.blocks for name in (*block.convs, *([block.shortcut] if shortcuts else []))]
    return [name for name in (*of_blocks, anatomy.last) if name is not None]


def _known_blocks(network: nn.Module, method: str) -> Anatomy:
    remedy = "name them with their layers, as in method=dict(type=..., blocks={'layer4.0': ['conv1', 'conv2']})"
    return known_anatomy(network, method, remedy)
