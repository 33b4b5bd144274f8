"""Runs the attention temperature schedule (section 3.3)."""

import math
from typing import Optional, Union

from mmengine.hooks import EMAHook, Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from mmkw.layers import set_temperature

from .batches import check_batches

Batch = Optional[Union[dict, tuple, list]]

_PATHS = {'linear': lambda part: part, 'cos': lambda part: (1 - math.cos(math.pi * part)) / 2}


@HOOKS.register_module()
class KWTemperatureHook(Hook):
    """Lowers tau of every KernelWarehouse layer, before the forward pass of each training iteration.

    With the defaults it is as published: ``tau(t) = max(0, 1 - (t + 1) / T)`` for global iteration t = 0, 1, ..., where
    T is ``end`` in iterations. tau follows from the iteration, so a resumed training goes on without a jump. mmengine's
    EMAHook averages the model; the average gets the model's tau. tau is logged as ``temperature``.

    An iteration is one forward pass, which is a micro-batch if gradients are accumulated. An epoch has
    ``len(runner.train_dataloader)`` iterations, as for mmengine's learning rate schedulers, on epoch-based and
    iteration-based loops alike. (With mmengine's InfiniteSampler this length counts the passes of all GPUs: use
    ``by_epoch=False`` there.)

    Args:
        end: When tau reaches ``end_value``, in epochs or, with ``by_epoch=False``, in iterations.
        by_epoch: Whether ``begin`` and ``end`` count epochs; else they count iterations. Default: True.
        begin: tau stays at ``start_value`` until this point, in the unit of ``end``. Default: 0.
        start_value: tau at the beginning, from 0 to 1. Default: 1.
        end_value: tau at the end, from 0 to 1. Default: 0.
        anneal_strategy: ``'linear'``, as published, or ``'cos'``, half a cosine wave. Default: ``'linear'``.

    Raises:
        ValueError: If an argument is out of range, or when training starts, if the model has no KW layer. A training
            that ends before the schedule is allowed, with a warning that says so.
        LaunchError: When training starts, if a batch will be too small, see :func:`mmkw.engine.check_batches`.
    """

    def __init__(
        self,
        end: float,
        by_epoch: bool = True,
        begin: float = 0,
        start_value: float = 1.0,
        end_value: float = 0.0,
        anneal_strategy: str = 'linear',
    ) -> None:
        if not 0 <= begin < end < math.inf:
            raise ValueError(f'the temperature schedule needs 0 <= begin < end, got begin={begin!r} and end={end!r}')
        for name, value in (('start_value', start_value), ('end_value', end_value)):
            if not 0 <= value <= 1:
                raise ValueError(f'{name} is a temperature and must lie in [0, 1], got {value!r}')
        if anneal_strategy not in _PATHS:
            raise ValueError(f'anneal_strategy must be one of {sorted(_PATHS)}, got {anneal_strategy!r}')
        self.begin, self.end, self.by_epoch = begin, end, by_epoch
        self.start_value, self.end_value = start_value, end_value
        self.anneal_strategy = anneal_strategy

    def before_train(self, runner: Runner) -> None:
        """Set the temperature of the first iteration; raise an error for a model without KW layers or a batch of 1."""
        check_batches(runner)
        end = self.end * self._unit(runner)
        if end > runner.max_iters:
            last = self._temperature(runner, runner.max_iters - 1)
            runner.logger.warning(
                f'KWTemperatureHook: the temperature schedule ends after {end:g} iterations, but training already '
                f'after {runner.max_iters}: tau stops at {last:.3g} on its way from {self.start_value:g} to '
                f'{self.end_value:g}. Lower end={self.end:g} unless that is meant.'
            )
        self.before_train_iter(runner, 0)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Batch = None) -> None:
        """Set the temperature of this iteration."""
        temperature = self._temperature(runner, runner.iter)
        set_temperature(runner.model, temperature)
        for hook in runner.hooks:
            if isinstance(hook, EMAHook):
                # The hook may average buffers, and an average of tau would lag behind.
                set_temperature(hook.ema_model, temperature)
        runner.message_hub.update_scalar('train/temperature', temperature)

    def _temperature(self, runner: Runner, iteration: int) -> float:
        unit = self._unit(runner)
        part = (iteration + 1 - self.begin * unit) / ((self.end - self.begin) * unit)
        if part >= 1:
            return self.end_value
        return self.start_value + (self.end_value - self.start_value) * _PATHS[self.anneal_strategy](max(part, 0.0))

    def _unit(self, runner: Runner) -> int:
        return len(runner.train_dataloader) if self.by_epoch else 1
