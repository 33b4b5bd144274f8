"""Renames the published models' keys to those of mmpretrain's backbones, with one small class per family.

What a method adds to these keys is in methods.py.
"""

import re
from collections.abc import Mapping
from typing import Optional, Protocol, Union

from mmpretrain.models.backbones import ConvNeXt, EfficientNet, MobileNetV2, ResNet
from torch import Tensor, nn

State = Mapping[str, Tensor]
WAREHOUSE = 'warehouse_manager.weights.'
# A classifier that has a warehouse.
KW_CLASSIFIER = 'classifier.1.conv.'


class Names(Protocol):
    """What renaming needs to know of a published family; all functions are static.

    Attributes:
        backbone: mmpretrain's class of the family.
        known_by: Start of a key, or several, by which a state dict of the family is recognised.
        head: What published keys of the classifier start with, the first of these that fits.
    """

    backbone: type[nn.Module]
    known_by: Union[str, tuple[str, ...]]
    head: tuple[str, ...]

    @staticmethod
    def describe(state: State) -> str:
        """Describe the network that a state dict is of, for example as ``'ResNet of depth 18'``."""

    @staticmethod
    def describe_backbone(backbone: nn.Module) -> str:
        """Describe a backbone in the same words."""

    @staticmethod
    def is_left_out(key: str, backbone: nn.Module) -> bool:
        """Whether a published key belongs to a stage that the backbone was built without."""
        return False

    @staticmethod
    def rename(key: str, backbone: nn.Module) -> Optional[str]:
        """Return the name that a published key has in ``backbone``; None if the backbone has no use for it."""


class ResNetNames(Names):
    """The published ResNets have torchvision's names, and so has mmpretrain's ResNet."""

    backbone = ResNet
    known_by = 'layer1.0.conv1.'
    head = ('fc.',)

    @staticmethod
    def describe(state: State) -> str:
        found = {'.'.join(key.split('.')[:2]) for key in state if key.startswith('layer')}
        blocks = tuple(sum(name.startswith(f'layer{stage}.') for name in found) for stage in range(1, 5))
        bottleneck = any('.conv3.' in key for key in state)
        for depth, (block, counts) in ResNet.arch_settings.items():
            if counts == blocks and (block.__name__ == 'Bottleneck') == bottleneck:
                return f'ResNet of depth {depth}'
        return f'ResNet of {blocks} blocks'

    @staticmethod
    def describe_backbone(backbone: nn.Module) -> str:
        return f'ResNet of depth {backbone.depth}'

    @staticmethod
    def is_left_out(key: str, backbone: nn.Module) -> bool:
        # There is one warehouse for each stage; layers are counted from 1.
        match = re.match(rf'(?:{re.escape(WAREHOUSE)}(\d+)$|layer(\d+)\.)', key)
        return bool(match) and int(match.group(1) or int(match.group(2)) - 1) >= backbone.num_stages

    @staticmethod
    def rename(key: str, backbone: nn.Module) -> Optional[str]:
        return key


class MobileNetV2Names(Names):
    """The published MobileNetV2 counts blocks as torchvision does, ``features.N``; mmpretrain groups them in layers."""

    backbone = MobileNetV2
    known_by = ('features.1.conv.', 'layer1.0.conv.')  # the first as published, the second as in mmpretrain
    head = (KW_CLASSIFIER, 'classifier.1.', 'classifier.')

    @staticmethod
    def describe(state: State) -> str:
        norm = state.get('features.17.conv.3.weight', state.get('layer7.0.conv.2.bn.weight'))
        return 'MobileNetV2' if norm is None else f'MobileNetV2 of width {len(norm) / 320:g}'

    @staticmethod
    def describe_backbone(backbone: nn.Module) -> str:
        return f'MobileNetV2 of width {backbone.layer7[-1].conv[-1].bn.num_features / 320:g}'

    @staticmethod
    def rename(key: str, backbone: nn.Module) -> Optional[str]:
        _, number, rest = key.split('.', 2)
        blocks = [(g, i) for g in range(1, 8) for i in range(len(getattr(backbone, f'layer{g}')))]
        if not 1 <= int(number) <= len(blocks):
            part, rest = rest.split('.', 1)
            return f'{"conv2" if int(number) else "conv1"}.{("conv", "bn")[int(part)]}.{rest}'
        group, index = blocks[int(number) - 1]
        last = len(getattr(backbone, f'layer{group}')[index].conv) - 1
        # conv.J.0 and conv.J.1 are a convolution and its norm. Those of the project layer stand one level higher.
        _, part, rest = rest.split('.', 2)
        if int(part) < last:
            kind, rest = rest.split('.', 1)
        else:
            part, kind = last, int(part) - last
        return f'layer{group}.{index}.conv.{part}.{("conv", "bn")[int(kind)]}.{rest}'


class ConvNeXtNames(Names):
    """The published ConvNeXts have the names of ConvNeXt's own release."""

    backbone = ConvNeXt
    known_by = 'downsample_layers.0.0.'
    head = ('head.',)

    @staticmethod
    def describe(state: State) -> str:
        blocks = {tuple(map(int, key.split('.')[1:3])) for key in state if key.startswith('stages.')}
        depths = [sum(stage == s for s, _ in blocks) for stage in range(4)]
        norm = state.get('downsample_layers.0.1.weight')
        return f'ConvNeXt of {depths} blocks' + ('' if norm is None else f', width {len(norm)}')

    @staticmethod
    def describe_backbone(backbone: nn.Module) -> str:
        return f'ConvNeXt of {list(backbone.depths)} blocks, width {backbone.channels[0]}'

    @staticmethod
    def rename(key: str, backbone: nn.Module) -> Optional[str]:
        if key.startswith('norm.'):
            # The norm before the classifier is not the one of a detector's last feature map.
            last = len(backbone.depths) - 1
            return f'norm{last}{key[4:]}' if backbone.gap_before_final_norm and last in backbone.out_indices else None
        return re.sub(r'pwconv([12])', r'pointwise_conv\1', key).replace('dwconv', 'depthwise_conv')


class EfficientNetNames(Names):
    """EfficientNet-PyTorch, and EfficientNet-Lite after it, counts all blocks; mmpretrain groups them in layers."""

    backbone = EfficientNet
    known_by = '_blocks.0.'
    head = ('_fc.',)
    _parts = {
        '_expand_conv': 'expand_conv.conv',
        '_bn0': 'expand_conv.bn',
        '_depthwise_conv': 'depthwise_conv.conv',
        '_bn1': 'depthwise_conv.bn',
        '_se_reduce': 'se.conv1.conv',
        '_se_expand': 'se.conv2.conv',
        '_project_conv': 'linear_conv.conv',
        '_bn2': 'linear_conv.bn',
    }

    @staticmethod
    def describe(state: State) -> str:
        blocks = {key.split('.')[1] for key in state if key.startswith('_blocks.')}
        lite = not any('._se_reduce.' in key for key in state)
        return f'EfficientNet{"-Lite" if lite else ""} of {len(blocks)} blocks'

    @staticmethod
    def describe_backbone(backbone: nn.Module) -> str:
        blocks = [block for layer in backbone.layers[1:-1] for block in layer]
        lite = not any(block.with_se for block in blocks)
        return f'EfficientNet{"-Lite" if lite else ""} of {len(blocks)} blocks'

    @staticmethod
    def rename(key: str, backbone: nn.Module) -> Optional[str]:
        part, rest = key.split('.', 1)
        last = len(backbone.layers) - 1
        ends = {'_conv_stem': '0.conv', '_bn0': '0.bn', '_conv_head': f'{last}.conv', '_bn1': f'{last}.bn'}
        if part in ends:
            return f'layers.{ends[part]}.{rest}'
        blocks = [(g, i) for g in range(1, last) for i in range(len(backbone.layers[g]))]
        number, _, rest = rest.partition('.')
        if part != '_blocks' or int(number) >= len(blocks):
            return f'layers.{key}'  # fits nowhere, which is then said
        group, index = blocks[int(number)]
        part, rest = rest.split('.', 1)
        return f'layers.{group}.{index}.{EfficientNetNames._parts.get(part, part)}.{rest}'


FAMILIES = (ResNetNames, MobileNetV2Names, ConvNeXtNames, EfficientNetNames)


def describe(state: State) -> Optional[str]:
    """Describe the network that a state dict is of, for example as ``'a ResNet of depth 18'``; None if unknown."""
    family = next((family for family in FAMILIES if any(key.startswith(family.known_by) for key in state)), None)
    return f'a {family.describe(state)}' if family else None
