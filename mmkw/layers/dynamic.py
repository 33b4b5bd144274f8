"""What all layers share whose work depends on their input, and how a network's are found and told what to do.

Everything that works on whole networks (folding, warm start, inspection, export, initialisation, the temperature) goes
through :class:`DynamicLayer`, so it works for a new method without knowing it.
"""

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, Optional

import torch.distributed as dist
from torch import Tensor, nn

# Said where a batch norm in an attention meets a single sample in training.
SINGLE_SAMPLE = (
    "the attention's batch norm cannot train on a batch of 1, which may be the last batch of an epoch: set "
    'drop_last=True in train_dataloader (or its batch_sampler), use at least 2 samples per GPU, or norm_eval=True in '
    'the backbone'
)


class TemperatureRange(NamedTuple):
    """What a method's temperature can be, and between which values its schedule runs."""

    lowest: float
    highest: float
    start: float
    end: float

    def allows(self, temperature: float) -> bool:
        """Whether the temperature can have this value."""
        return self.lowest <= temperature <= self.highest

    def __str__(self) -> str:
        """What the temperature must be, in words."""
        if self.highest == math.inf:
            return f'at least {self.lowest:g}'
        return f'between {self.lowest:g} and {self.highest:g}'


class SharedState(nn.Module):
    """What several dynamic layers share, held once by the network; the plain network has nothing of it."""

    def apply(self, fn: Callable[[nn.Module], Any]) -> nn.Module:
        """Apply a function as in torch, but none that initialises for mmengine's ``init_cfg``: this has started."""
        return self if _initialises(fn, self) else super().apply(fn)

    def describe(self, owner: nn.Module, state: Mapping[str, Any]) -> list[str]:
        """What a state dict has in the place of this, in words; none if unknown.

        Args:
            owner: The module that holds this.
            state: The state dict, under the owner's names.
        """
        return []


class DynamicLayer(nn.Module):
    """A layer that stands where the plain network has a plain one, and does what its input decides, ``alpha(x)``.

    Its children are those whose kernels depend on the input (:class:`mmkw.layers.DynamicConvNd`) and the gates that
    follow a norm (:mod:`mmkw.layers.gated`).
    """

    # None is a method without a temperature.
    temperature_range: Optional[TemperatureRange] = None

    # What a method gives.

    def alpha(self, x: Tensor) -> Tensor:
        """What the input decides, the batch first. ``x`` is prepared, see :meth:`prepare`."""
        raise NotImplementedError

    def reset_attention(self) -> None:
        """Initialise again what :meth:`alpha` is computed with, as at first."""
        raise NotImplementedError

    def plain_layer(self) -> nn.Module:
        """The layer of the plain network: what this one took over from it is the same, the rest is on the meta device.

        No value of it is a copy.
        """
        raise NotImplementedError

    def check_fold(self) -> None:
        """Check that :meth:`folded` is possible.

        Raises:
            ValueError: If no plain layer does what this one does, even where that is the same for every input.
        """

    def folded(self, alpha: Tensor) -> nn.Module:
        """A plain layer that does for every input what ``alpha``, without the batch, decides."""
        raise NotImplementedError

    def plain_macs(self, out: Tensor) -> int:
        """Multiply-adds of the plain layer for this output of one sample; norms count none."""
        return 0

    def assembly_macs(self, out: Tensor) -> int:
        """Multiply-adds that carry out :meth:`alpha`, for this output of one sample."""
        return 0

    @property
    def bank(self) -> Optional[nn.Parameter]:
        """The parameter that kernels are mixed from, the pieces first; None if the method mixes none."""
        return None

    @property
    def mixtures(self) -> int:
        """How many mixtures of the bank's pieces a kernel consists of."""
        return 1

    @property
    def budget(self) -> float:
        """Pieces of the bank per mixture."""
        return 0.0 if self.bank is None else len(self.bank) / self.mixtures

    @property
    def needs_two_samples(self) -> bool:
        """Whether, in the present mode, the layer takes statistics over the samples of this process alone."""
        return False

    @property
    def inference_memory(self) -> int:
        """Bytes that the layer keeps in inference beside its parameters and buffers."""
        return 0

    @property
    def temperature(self) -> Optional[Tensor]:
        """The temperature, a buffer of no dimension, of a method that has one."""
        return None

    def fixed_alpha(self) -> Tensor:
        """alpha, without the batch, where the temperature makes it the same for every input.

        Raises:
            ValueError: If it depends on the input.
        """
        raise ValueError('at every temperature')

    def attention_map(self, x: Tensor) -> Tensor:
        """alpha to look at, one row per mixture, ``(B, mixtures, columns)``, for a prepared input."""
        return self.alpha(x).flatten(1).unflatten(1, (self.mixtures, -1))

    def start_map(self) -> Optional[Tensor]:
        """What :meth:`attention_map` is for every input at the start of the schedule, if it is that; else None."""
        return None

    def check_start(self) -> None:
        """Check that :meth:`start_from` is possible.

        Raises:
            ValueError: If the method, or this layer, has no start that computes what a plain layer does.
        """
        raise ValueError(f'{type(self).__name__} has no start that computes what the plain layer does')

    def start_from(self, weight: Tensor) -> tuple[float, float]:
        """Start as a plain layer with this weight, in place, as nearly as the method can.

        What :meth:`plain_values` gives is filled already.

        Returns:
            Squared Frobenius norms of the part of the weight that is lost, and of the weight.
        """
        raise NotImplementedError

    # What follows from it.

    def prepare(self, x: Tensor) -> Tensor:
        """The input as :meth:`alpha` takes it."""
        return x

    def apply(self, fn: Callable[[nn.Module], Any]) -> nn.Module:
        """Apply a function as torch does; show one that initialises for mmengine's ``init_cfg`` plain values only.

        A recipe's ``init_cfg`` means plain layers. So what this layer has of the plain one starts as that would, and
        all else keeps what its method starts it as. The function may know the layer by the plain class or its own.
        """
        if not _initialises(fn, self):
            return super().apply(fn)
        fn(self.plain_layer())
        fn(same_layer(self, type(self), self.plain_values()))
        return self

    def plain_values(self) -> dict[str, Tensor]:
        """Parameters and buffers that the plain layer has too, under their names."""
        own = {id(value) for value in self.state_dict(keep_vars=True).values()}
        return {key: v for key, v in self.plain_layer().state_dict(keep_vars=True).items() if id(v) in own}


def same_layer(layer: nn.Module, cls: type[nn.Module], names: Collection[str]) -> nn.Module:
    """A layer as an object of a class: its attributes and, under the names given, its own tensors and children."""
    same: nn.Module = object.__new__(cls)
    same.__dict__.update(layer.__dict__)
    for kind in ('_parameters', '_buffers', '_modules'):
        same.__dict__[kind] = {name: value for name, value in layer.__dict__[kind].items() if name in names}
    return same


def _initialises(fn: Callable[[nn.Module], Any], module: nn.Module) -> bool:
    """Whether a function that is applied to a module is one of those that carry out mmengine's ``init_cfg``."""
    # mmengine marks all modules while its init_weights runs, and its initialisers can be called without that.
    return hasattr(module, '_params_init_info') or getattr(fn, '__module__', None) == 'mmengine.model.weight_init'


def takes_own_statistics(norm: nn.Module) -> bool:
    """Whether a batch norm takes statistics, in the present mode, over the samples of this process alone.

    It may be another class by now: torch and OpenMMLab turn batch norms into synchronized ones and back.
    """
    is_synchronized = type(norm).__name__ == 'SyncBatchNorm'  # torch's or mmcv's
    if not norm.training or not (is_synchronized and dist.is_available() and dist.is_initialized()):
        return norm.training
    return dist.get_world_size(getattr(norm, 'process_group', None)) == 1


def dynamic_layers(model: nn.Module) -> dict[str, DynamicLayer]:
    """The dynamic layers of a network by name, in network order."""
    return {name: module for name, module in model.named_modules() if isinstance(module, DynamicLayer)}


def temperature_keys(model: nn.Module) -> set[str]:
    """Keys of a network's state dict that are temperatures of its dynamic layers; a state dict may lack them."""
    temperatures = {id(layer.temperature) for layer in dynamic_layers(model).values()}
    return {key for key, value in model.state_dict(keep_vars=True).items() if id(value) in temperatures}
