"""What a plan consists of: for every method a spec, which names plain layers and builds what takes their place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple, Optional

from torch import nn

from .base import DynamicConvNd
from .mixed import mixed


class Spec:
    """A group of layers that a method treats together, as data, and how to build what they become.

    A method's spec is a child of this and a frozen dataclass; its fields are what a config can set.

    Args:
        layers: Names of the plain layers, as in ``named_modules()``.
    """

    layers: Sequence[str]

    def refusal(self, layer: nn.Module) -> Optional[str]:
        """Half a sentence on what can be one of its layers, if this one cannot; else None."""
        if is_convertible(layer):
            return None
        return (
            'only nn.Conv1d, nn.Conv2d, nn.Conv3d and nn.Linear themselves can be replaced, and what '
            'mmkw.layers.register_layer named: build the network of those (in OpenMMLab without a conv_cfg), or leave '
            'the layer out of the plan'
        )

    def split(self, group: str, plain: Mapping[str, nn.Module]) -> Mapping[str, 'Spec']:
        """The groups that this one falls into, by name; most often just this one."""
        return {group: self}

    def build(
        self, group: str, plain: Mapping[str, nn.Module], shared: dict[str, nn.Module]
    ) -> Mapping[str, nn.Module]:
        """Build what takes the place of the plain layers, and leave these as they are.

        Args:
            group: Name of the group.
            plain: The plain layers by name, in network order.
            shared: Name -> module that the network is to hold for its layers to share; what other groups of the same
                conversion put there, and where this one puts its own.

        Returns:
            A layer for each name of ``plain``.
        """
        raise NotImplementedError


# Group -> its spec.
Plan = dict[str, Spec]


class _Likeness(NamedTuple):
    torch_class: type[nn.Module]
    mixin: Any


_CONVERTIBLE: dict[type[nn.Module], _Likeness] = {
    cls: _Likeness(cls, None) for cls in (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
}


def register_layer(plain: type[nn.Module], like: type[nn.Module], mixin: Optional[type[DynamicConvNd]] = None) -> None:
    """Let a layer class with a forward of its own be converted too.

    Args:
        plain: A subclass of torch's convolutions or of ``nn.Linear``. Its own subclasses are not meant.
        like: Which of torch's it is: ``nn.Conv1d``, ``nn.Conv2d``, ``nn.Conv3d`` or ``nn.Linear``.
        mixin: What it does differently, as a child of :class:`mmkw.layers.DynamicConvNd` with a ``plain_class`` that
            overrides ``prepare``, as a rule. Every method's layer is mixed with it. Default: None, nothing.
    """
    _CONVERTIBLE[plain] = _Likeness(like, mixin)


def is_convertible(layer: nn.Module) -> bool:
    """Whether a dynamic layer could take the place of this one."""
    return type(layer) in _CONVERTIBLE


def layer_like(
    plain: nn.Module, classes: Mapping[type[nn.Module], type[DynamicConvNd]], **settings: Any
) -> DynamicConvNd:
    """A dynamic layer with the sizes, bias, device, type, mode and frozen state of a plain one.

    Args:
        plain: The plain layer; its bias goes to the new one, too.
        classes: torch's class -> the method's.
        **settings: The method's own arguments.

    Raises:
        ValueError: If the method has no layer of this kind.
    """
    like, mixin = _CONVERTIBLE[type(plain)]
    if like not in classes:
        raise ValueError(f'there is no {next(iter(classes.values())).__name__} for a {type(plain).__name__}')
    cls: Any = classes[like]
    if mixin is not None:
        cls = mixed(mixin, cls, f'{cls.__name__}{mixin.__name__}')
    has_bias = plain.bias is not None
    if like is nn.Linear:
        layer = cls(plain.in_features, plain.out_features, has_bias, **settings)
    else:
        sizes = (plain.in_channels, plain.out_channels, plain.kernel_size, plain.stride, plain.padding)
        layer = cls(*sizes, plain.dilation, plain.groups, has_bias, plain.padding_mode, **settings)
    layer.to(plain.weight.device, plain.weight.dtype).train(plain.training)
    layer.requires_grad_(plain.weight.requires_grad)
    layer.bias = plain.bias
    return layer


def kernel_shape(layer: nn.Module) -> tuple[int, ...]:
    """Weight shape of a plain convolution; a Linear counts as a 1-wide 1-d convolution."""
    shape = tuple(layer.weight.shape)
    return (*shape, 1) if isinstance(layer, nn.Linear) else shape


def in_channels_of(layer: nn.Module) -> int:
    """Input channels of a convolution, or input features of a linear layer."""
    return layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels


@dataclass(frozen=True)
class LayerSpec(Spec):
    """A spec of a method whose layers share nothing: its fields, but for ``layers``, are arguments of every layer.

    Args:
        layers: Names of the plain layers, as in ``named_modules()``.
    """

    # torch's class -> the method's.
    classes: ClassVar[Mapping[type[nn.Module], type[DynamicConvNd]]]

    layers: Sequence[str]

    def settings(self) -> dict[str, Any]:
        """What the layers are made with beside torch's arguments."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != 'layers'}

    def build(
        self, group: str, plain: Mapping[str, nn.Module], shared: dict[str, nn.Module]
    ) -> Mapping[str, nn.Module]:
        """Build a layer in the place of each plain one; see :class:`Spec`."""
        return {name: layer_like(layer, self.classes, **self.settings()) for name, layer in plain.items()}
