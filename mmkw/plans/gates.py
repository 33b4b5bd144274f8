"""Where SE, CBAM and ECA put their gates: after the last norm of every residual block, before the sum."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Optional

from torch import nn

from mmkw.layers import CBAMSpec, ECASpec, Plan, SESpec
from mmkw.layers.gates import eca_size

from .anatomy import Anatomy, known_anatomy
from .registry import register_method


def _known_blocks(network: nn.Module, method: str) -> Anatomy:
    return known_anatomy(network, method, f'give mmkw.convert a plan of your own, of {method}Spec')


def _norms_by_stage(anatomy: Anatomy) -> dict[str, tuple[str, ...]]:
    """The norms before the sums of the residual blocks, by the name of the stage."""
    norms: dict[str, tuple[str, ...]] = defaultdict(tuple)
    for block in anatomy.blocks:
        norms[block.name.rpartition('.')[0]] += (block.norm,)
    return norms


@register_method('SE')
def se(network: nn.Module, reduction: float = 1 / 16, log: Callable[[str], None] = print) -> Plan:
    """SE (Hu et al., CVPR 2018): a gate in every residual block, after its last norm and before the sum.

    Args:
        network: A plain ResNet or MobileNetV2. For MobileNetV2 no placement was published; it is ECA's.
        reduction: Hidden width over the width of the block's output. Default: 1/16.
        log: Not used: nothing is left out.
    """
    stages = _norms_by_stage(_known_blocks(network, 'SE'))
    return {stage: SESpec(norms, reduction) for stage, norms in stages.items()}


@register_method('CBAM')
def cbam(network: nn.Module, reduction: float = 1 / 16, log: Callable[[str], None] = print) -> Plan:
    """CBAM (Woo et al., ECCV 2018): a gate in every residual block, after its last norm and before the sum.

    Args:
        network: A plain ResNet or MobileNetV2. For MobileNetV2 no placement was published; it is ECA's.
        reduction: Hidden width over the width of the block's output. Default: 1/16.
        log: Not used: nothing is left out.
    """
    stages = _norms_by_stage(_known_blocks(network, 'CBAM'))
    return {stage: CBAMSpec(norms, reduction) for stage, norms in stages.items()}


@register_method('ECA')
def eca(network: nn.Module, sizes: Optional[Sequence[int]] = None, log: Callable[[str], None] = print) -> Plan:
    """ECA (Wang et al., CVPR 2020): a gate in every residual block, after its last norm and before the sum.

    Args:
        network: A plain ResNet or MobileNetV2.
        sizes: Windows of the gates, odd, one for each stage (``layer1``, ``layer2``, ...). Default: None, for a ResNet
            by the paper's formula (:func:`mmkw.layers.gates.eca_size`; the release trained its ResNet18 with
            3, 5, 7, 7 and its ResNet50 with 3, 5, 5, 7) and for MobileNetV2 as in the release: 3, and in blocks of
            less than 96 channels 1, where every channel is scaled by its own mean alone.
        log: Not used: nothing is left out.

    Raises:
        ValueError: If there is not one size for each stage, or one is even.
    """
    anatomy = _known_blocks(network, 'ECA')
    stages = _norms_by_stage(anatomy)
    if sizes is None:
        widths = [len(network.get_submodule(norms[0]).weight) for norms in stages.values()]
        sizes = [(1 if width < 96 else 3) if anatomy.family == 'mobilenet_v2' else eca_size(width) for width in widths]
    if len(sizes) != len(stages):
        raise ValueError(f'sizes must be one for each of {", ".join(stages)}, got {sizes!r}')
    return {stage: ECASpec(norms, size) for (stage, norms), size in zip(stages.items(), sizes)}
