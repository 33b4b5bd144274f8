"""Runs the temperature schedule of dynamic layers."""

import math
from typing import Optional, Union

from mmengine.hooks import EMAHook, Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmkw.layers import DynamicLayer, TemperatureRange, set_temperature, temperature_ranges

from .batches import check_batches
from .unwrap import unwrap

Batch = Optional[Union[dict, tuple, list]]

# What configs call the hook: the second is the older name.
NAMES = ('TemperatureHook', 'KWTemperatureHook')

# Iterations: falls of 300 cost much in docs/study.md, one of 2,300 next to nothing, and the published one has 25,000.
_SHORT_FALL = 2000

_PATHS = {'linear': lambda part: part, 'cos': lambda part: (1 - math.cos(math.pi * part)) / 2}


@HOOKS.register_module(name=list(NAMES))
class TemperatureHook(Hook):
    """Moves the temperature of every dynamic layer that has one, before the forward pass of each training iteration.

    With the defaults each layer's goes as its method was published: ``tau(t) = max(0, 1 - (t + 1) / T)`` in
    KernelWarehouse (section 3.3), ``tau(t) = 1 + 29 * max(0, 1 - (t + 1) / T)`` in ODConv and DY-Conv, for global
    iteration t = 0, 1, ..., where T is ``end`` in iterations. Layers of both kinds may be in one model.

    An iteration is one forward pass (a micro-batch where gradients are accumulated), an epoch
    ``len(runner.train_dataloader)`` of them, as for mmengine's learning rate schedulers, on epoch-based and
    iteration-based loops alike. (mmengine's InfiniteSampler counts all GPUs' passes as this one's: give iterations.)
    tau follows from the iteration, so a resumed training goes on without a jump. The average that mmengine's EMAHook
    keeps has the model's tau. tau is logged as ``temperature``; where layers differ in it, as ``temperature_`` and the
    class of the first layer of each kind, such as ``temperature_KWConv2d`` and ``temperature_ODConv2d``. A hook for a
    part adds the part's name, ``temperature_neck``.

    ``KWTemperatureHook`` is an older name of this hook.

    Args:
        end: Where tau reaches ``end_value``, in epochs or, with ``by_epoch=False``, in iterations.
        by_epoch: Default: True.
        begin: Until where tau stays at ``start_value``, in the unit of ``end``. Default: 0.
        start_value: For all layers. Default: None, each layer's own: 1 in KernelWarehouse, 30 in ODConv and DY-Conv.
        end_value: For all layers. Default: None, each layer's own: 0 in KernelWarehouse, 1 in ODConv and DY-Conv.
        anneal_strategy: ``'linear'``, as published, or ``'cos'``, half a cosine wave. Default: ``'linear'``.
        part: Name of the submodule whose layers it moves, such as ``'neck'`` where the backbone is trained already.
            Layers elsewhere that share their temperature with these follow. Default: None, the whole model.

    Raises:
        ValueError: If an argument is out of range, or when training starts, if the model or the part has no layer with
            a temperature, one that cannot have the given values, or one that another such hook moves. A training that
            ends before the schedule is allowed, with a warning that says so; so is a fall within few iterations where
            attentions have batch norms.
        LaunchError: When training starts, if a batch will be too small, see :func:`mmkw.engine.check_batches`.
    """

    def __init__(
        self,
        end: float,
        by_epoch: bool = True,
        begin: float = 0,
        start_value: Optional[float] = None,
        end_value: Optional[float] = None,
        anneal_strategy: str = 'linear',
        part: Optional[str] = None,
    ) -> None:
        if not 0 <= begin < end < math.inf:
            raise ValueError(f'the temperature schedule needs 0 <= begin < end, got begin={begin!r} and end={end!r}')
        for name, value in (('start_value', start_value), ('end_value', end_value)):
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f'{name} is a temperature and must be a number of at least 0, got {value!r}')
        if anneal_strategy not in _PATHS:
            raise ValueError(f'anneal_strategy must be one of {sorted(_PATHS)}, got {anneal_strategy!r}')
        self.begin, self.end, self.by_epoch = begin, end, by_epoch
        self.start_value, self.end_value = start_value, end_value
        self.anneal_strategy, self.part = anneal_strategy, part
        self._logged: dict[str, TemperatureRange] = {}

    def before_train(self, runner: Runner) -> None:
        """Set the temperature of the first iteration; what cannot be trained in this way is noticed here."""
        check_batches(runner)
        self._check_layers(runner)
        self._logged = self._scalars(runner.model)  # once: the walk through a detector takes over a millisecond
        end = self.end * self._unit(runner)
        if end > runner.max_iters:
            rest = self._rest(runner, runner.max_iters - 1)
            stops = [
                f'{self._temperature(own, rest):.3g} on its way from {" to ".join(f"{v:g}" for v in self.ends(own))}'
                for own in self._logged.values()
            ]
            runner.logger.warning(
                f'TemperatureHook: the temperature schedule ends after {end:g} iterations, but training already '
                f'after {runner.max_iters}: tau stops at {" and at ".join(stops)}. Lower end={self.end:g} unless that '
                'is meant.'
            )
        else:
            self._warn_of_a_short_fall(runner)
        self.before_train_iter(runner, 0)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Batch = None) -> None:
        """Set the temperature of this iteration."""
        rest = self._rest(runner, runner.iter)
        # EMAHooks may average buffers, and an average of tau lags behind; of two equal ones it does not.
        averages = [hook.ema_model for hook in runner.hooks if isinstance(hook, EMAHook)]
        for model in (runner.model, *averages):
            set_temperature(self.part_of(model), lambda own: self._temperature(own, rest))
        for name, own in self._logged.items():
            runner.message_hub.update_scalar(f'train/{name}', self._temperature(own, rest))

    def ends(self, own: TemperatureRange) -> tuple[float, float]:
        """Temperatures at which the schedule of a layer with this range starts and ends."""
        return (
            own.start if self.start_value is None else self.start_value,
            own.end if self.end_value is None else self.end_value,
        )

    def layers(self, model: nn.Module) -> dict[str, tuple[DynamicLayer, TemperatureRange]]:
        """The layers of a model that this hook moves, by their names in its part, each with its range."""
        return temperature_ranges(self.part_of(model))

    def part_of(self, model: nn.Module) -> nn.Module:
        """The submodule whose layers this hook moves.

        Raises:
            ValueError: If the model has no such part.
        """
        model = unwrap(model)
        if self.part is None:
            return model
        try:
            return model.get_submodule(self.part)
        except AttributeError:
            known = ', '.join(name for name, _ in model.named_children())
            raise ValueError(f'TemperatureHook(part={self.part!r}): the model has {known}, and no such part') from None

    def _warn_of_a_short_fall(self, runner: Runner) -> None:
        """Warn if a new network would have no time to learn at its falling temperature (docs/study.md)."""
        fall = (self.end - self.begin) * self._unit(runner)
        falling = {
            type(layer).__name__
            for layer, own in self.layers(runner.model).values()
            if self.ends(own) == (own.start, own.end)
            and getattr(layer, 'attention_init', None) != 'start'  # it changes little as tau falls
            and any(isinstance(m, _BatchNorm) for m in layer.modules())
        }
        if falling and 1 < fall < _SHORT_FALL:
            runner.logger.warning(
                f'TemperatureHook: the temperature falls within {fall:g} iterations, and the attentions of '
                f'{", ".join(sorted(falling))} have batch norms. New networks learn badly so: let it fall within '
                f'{_SHORT_FALL} iterations or more, stop it above its end (end_value), or, in KernelWarehouse, put '
                "LayerNorm into the attentions, warehouse_cfg={'*': dict(norm='LN')}. After a warm start from plain "
                "weights (PlainPretrained), use attention_init='start' and a hundredth of the learning rate for "
                'attentions instead. tools/plot_gradients.py CONFIG shows how gradients would grow'
            )

    def _check_layers(self, runner: Runner) -> None:
        layers = self.layers(runner.model).values()
        for name in ('start_value', 'end_value'):
            value = getattr(self, name)
            for layer, own in layers:
                if value is not None and not own.allows(value):
                    raise ValueError(f'{name}={value!r}: the temperature of a {type(layer).__name__} must be {own}')
        for hook in runner.hooks:
            if isinstance(hook, TemperatureHook) and hook is not self:
                of_other = {id(layer.temperature) for layer, _ in hook.layers(runner.model).values()}
                if any(layer.temperature is not None and id(layer.temperature) in of_other for layer, _ in layers):
                    raise ValueError(
                        f'two TemperatureHooks, of part={hook.part!r} and part={self.part!r}, move the same '
                        'temperature: leave one out, or give each a part of its own'
                    )

    def _scalars(self, model: nn.Module) -> dict[str, TemperatureRange]:
        """What is logged: name -> range of the layers that it is of."""
        kinds: dict[tuple[float, float], tuple[str, TemperatureRange]] = {}
        for layer, own in self.layers(model).values():
            kinds.setdefault(self.ends(own), (type(layer).__name__, own))
        whole = 'temperature' if self.part is None else f'temperature_{self.part}'
        return {f'{whole}_{name}' if len(kinds) > 1 else whole: own for name, own in kinds.values()}

    def _temperature(self, own: TemperatureRange, rest: float) -> float:
        """tau of a layer where this part of its way is left."""
        start, end = self.ends(own)
        lowest, highest = sorted((start, end))
        # Rounding may not lead out of what the layer can have.
        return min(max(end + (start - end) * rest, lowest), highest)

    def _rest(self, runner: Runner, iteration: int) -> float:
        """Which part of the way from start to end is left."""
        unit = self._unit(runner)
        part = (iteration + 1 - self.begin * unit) / ((self.end - self.begin) * unit)
        return 1 - _PATHS[self.anneal_strategy](min(max(part, 0.0), 1.0))

    def _unit(self, runner: Runner) -> int:
        return len(runner.train_dataloader) if self.by_epoch else 1


KWTemperatureHook = TemperatureHook
