"""Runs the attention temperature schedule (section 3.3)."""

from typing import Optional, Union

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from mmkw.layers import set_temperature

Batch = Optional[Union[dict, tuple, list]]


@HOOKS.register_module()
class KWTemperatureHook(Hook):
    """Lowers tau of every KernelWarehouse layer linearly, before the forward pass of each training iteration.

    With the defaults, ``tau(t) = max(0, 1 - (t + 1) / T)`` for global iteration t = 0, 1, ..., and 0 from T on.
    tau follows from the iteration, so a resumed training goes on without a jump. It is logged as ``temperature``.

    Args:
        end: Length T of the schedule, in epochs or, with ``by_epoch=False``, in iterations.
        by_epoch: Default: True.

    Raises:
        ValueError: If ``end`` is not above 0, or when training starts, if the model has no KW layer.
    """

    def __init__(self, end: float, by_epoch: bool = True) -> None:
        if not end > 0:
            raise ValueError(f'the temperature schedule needs an end above 0, got {end!r}')
        self.end, self.by_epoch = end, by_epoch

    def before_train(self, runner: Runner) -> None:
        """Set the temperature of the first iteration; here a model without KW layers is noticed."""
        self.before_train_iter(runner, 0)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Batch = None) -> None:
        """Set the temperature of this iteration."""
        iterations = self.end * len(runner.train_dataloader) if self.by_epoch else self.end
        temperature = max(0.0, 1 - (runner.iter + 1) / iterations)
        set_temperature(runner.model, temperature)
        runner.message_hub.update_scalar('train/temperature', temperature)
