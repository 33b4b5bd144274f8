"""A norm with a gate after it, and the specs that make one.

A gated norm is still a norm of its class, so that ``norm_eval``, ``frozen_stages`` and the like find it, and its own
parameters keep their names; the gate is its child ``gate``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Optional

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_module_registration_hook

from .bank import squared_norm
from .dynamic import DynamicLayer, same_layer
from .gates import CBAM, ECA, SE, Gate
from .mixed import mixed
from .spec import LayerSpec

_NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm)


class Gated(DynamicLayer):
    """Makes a class of norms one whose output goes through a gate, its child ``gate``."""

    def forward(self, x: Tensor) -> Tensor:
        """The norm, then the gate."""
        return self.gate(super().forward(x))

    def alpha(self, x: Tensor) -> Tensor:
        """Scales of the channels ``(B, C)``."""
        return self.gate.scale(super().forward(x))

    def reset_attention(self) -> None:
        self.gate.reset_parameters()

    def plain_layer(self) -> nn.Module:
        """The norm without the gate."""
        names = {*self._parameters, *self._buffers}
        return same_layer(self, type(self).__bases__[1], names)

    def check_fold(self) -> None:
        self.gate.check_fold()

    def folded(self, alpha: Tensor) -> nn.Module:
        """The norm with its weight and bias scaled."""
        plain = self.plain_layer()
        for name, value in self._parameters.items():
            if value is not None:  # a norm may have no bias
                setattr(plain, name, nn.Parameter(value * alpha))
        return plain

    def check_start(self) -> None:
        """A start as a plain layer is always possible."""

    @torch.no_grad()
    def start_from(self, weight: Tensor) -> tuple[float, float]:
        """Let the gate scale everything alike, and the norm make up for it. Exact."""
        scale = self.gate.start()
        for value in self._parameters.values():
            if value is not None:
                value.div_(scale)
        return 0.0, squared_norm(weight)


def _gated_class(norm: nn.Module) -> type[nn.Module]:
    kind: Any = type(norm)
    return mixed(Gated, kind, f'Gated{kind.__name__}')


def _keep_gated(holder: nn.Module, _name: str, child: nn.Module) -> None:
    """Make a norm that is given a gate a gated one.

    torch's ``convert_sync_batchnorm`` and mmengine's ``revert_sync_batchnorm`` put another norm in the place of every
    one and give it the children of the old: the gate would be there, but nobody would call it.
    """
    if isinstance(child, Gate) and isinstance(holder, _NORMS) and not isinstance(holder, Gated):
        holder.__class__ = _gated_class(holder)


register_module_module_registration_hook(_keep_gated)


@dataclass(frozen=True)
class GateSpec(LayerSpec):
    """Gates after some norms. Its fields, but for ``layers``, are arguments of every gate.

    Args:
        layers: Names of the norms, as in ``named_modules()``.
    """

    kind: ClassVar[type[Gate]]

    def refusal(self, layer: nn.Module) -> Optional[str]:
        """What a gate can follow, if not this layer."""
        if isinstance(layer, _NORMS) and not isinstance(layer, Gated) and layer.weight is not None:
            return None
        return 'a gate follows a batch norm or group norm that has a weight and no gate yet'

    def build(
        self, group: str, plain: Mapping[str, nn.Module], shared: dict[str, nn.Module]
    ) -> Mapping[str, nn.Module]:
        """Build the gated norms; see :class:`mmkw.layers.Spec`."""
        built: dict[str, nn.Module] = {}
        for name, norm in plain.items():
            gate = self.kind(len(norm.weight), **self.settings())
            gate.to(norm.weight.device, norm.weight.dtype).train(norm.training)
            gate.requires_grad_(norm.weight.requires_grad)
            built[name] = same_layer(norm, _gated_class(norm), {*norm._parameters, *norm._buffers})
            built[name].gate = gate
        return built


@dataclass(frozen=True)
class SESpec(GateSpec):
    """SE gates after some norms.

    Args:
        layers: Names of the norms, as in ``named_modules()``.
        reduction: See :class:`SE`.
    """

    kind = SE

    reduction: float = 1 / 16


@dataclass(frozen=True)
class CBAMSpec(GateSpec):
    """CBAM gates after some norms.

    Args:
        layers: Names of the norms, as in ``named_modules()``.
        reduction: See :class:`CBAM`.
    """

    kind = CBAM

    reduction: float = 1 / 16


@dataclass(frozen=True)
class ECASpec(GateSpec):
    """ECA gates after some norms.

    Args:
        layers: Names of the norms, as in ``named_modules()``.
        size: See :class:`ECA`. Default: None, by the width of each.
    """

    kind = ECA

    size: Optional[int] = None
