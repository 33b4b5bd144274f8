"""Traces learning rate and temperature of a config over its training, without its model and data."""

import itertools
import tempfile
from dataclasses import dataclass
from typing import Any, Optional

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mmkw.checkpoints.files import build_model
from mmkw.config import scope_of, type_name
from mmkw.layers import DynamicLayer, TemperatureRange, temperature_ranges

from .temperature_hook import NAMES, TemperatureHook

_runs = itertools.count()


@dataclass
class Schedule:
    """Learning rate and temperature of each iteration of a training, in order.

    Attributes:
        learning_rates: Base learning rate, before any factor of single parameters.
        temperatures: tau of the first layer that the first TemperatureHook moves; empty if the config has no such hook.
    """

    learning_rates: list[float]
    temperatures: list[float]


def trace_schedule(cfg: Config, iterations_per_epoch: int) -> Schedule:
    """Run a config's own loop, schedulers and temperature hook over a model that does nothing.

    The config's own model is built only to see what its temperature can be.

    Args:
        cfg: A config as for mmengine's Runner, with one optimizer.
        iterations_per_epoch: Length of an epoch. Settings that the config gives in iterations keep their length.

    Raises:
        ValueError: If the config has no training loop or no single optimizer with a learning rate, or it has a
            TemperatureHook and a model without a temperature.
    """
    if iterations_per_epoch < 1:
        raise ValueError(f'an epoch has at least one iteration, got {iterations_per_epoch}')
    learning_rate = ((cfg.get('optim_wrapper') or {}).get('optimizer') or {}).get('lr')
    if not cfg.get('train_cfg') or learning_rate is None:
        raise ValueError('a schedule needs train_cfg and optim_wrapper.optimizer.lr, which this config has not')
    hooks = [*(cfg.get('default_hooks') or {}).values(), *(cfg.get('custom_hooks') or [])]
    hooks = [dict(hook) for hook in hooks if type_name(hook) in NAMES][:1]
    own = _temperature_range(cfg, hooks[0].pop('part', None)) if hooks else None
    recorder, scope = _Recorder(), scope_of(cfg)
    train_cfg = {key: value for key, value in cfg.train_cfg.items() if not key.startswith(('val', 'dynamic'))}
    idle = dict.fromkeys(('runtime_info', 'timer', 'sampler_seed', 'logger', 'checkpoint'))
    by_epoch = train_cfg.get('by_epoch', type_name(train_cfg) != 'IterBasedTrainLoop')
    with tempfile.TemporaryDirectory() as folder, DefaultScope.overwrite_default_scope(scope):
        runner = Runner(
            _Nothing(own),
            folder,
            train_dataloader=dict(
                dataset=_Epoch(iterations_per_epoch),
                batch_size=1,
                sampler=dict(type='DefaultSampler' if by_epoch else 'InfiniteSampler', shuffle=False),
            ),
            train_cfg=train_cfg,
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=learning_rate)),
            param_scheduler=cfg.get('param_scheduler'),
            default_hooks=idle,
            custom_hooks=[*hooks, recorder],
            default_scope=scope,
            log_level='WARNING',
            experiment_name=f'schedule-{next(_runs)}',
        )
        runner.train()
    return Schedule(recorder.learning_rates, recorder.temperatures if hooks else [])


def _temperature_range(cfg: Config, part: Optional[str]) -> TemperatureRange:
    """What the temperature of the first layer that has one can be, in the model of a config or in a part of it."""
    model = TemperatureHook(end=1, part=part).part_of(build_model(cfg))
    ranges = [own for _, own in temperature_ranges(model).values()]
    if not ranges:
        raise ValueError(f'{type(model).__name__} has no dynamic layer whose temperature the TemperatureHook could set')
    return ranges[0]


class _Epoch(Dataset):
    metainfo: dict = {}

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> int:
        return index


class _Thermometer(DynamicLayer):
    """A layer that has a temperature and does nothing with it."""

    def __init__(self, own: Optional[TemperatureRange]) -> None:
        super().__init__()
        self.temperature_range = own
        self.register_buffer('_temperature', torch.zeros(()))
        self.weight = torch.nn.Parameter(torch.zeros(1))

    @property
    def temperature(self) -> torch.Tensor:
        """tau, which the hook sets."""
        return self._temperature


class _Nothing(BaseModel):
    """A model with a temperature and an optimizer that has nothing to do."""

    def __init__(self, own: Optional[TemperatureRange]) -> None:
        super().__init__()
        self.layer = _Thermometer(own)

    def forward(self, *args: torch.Tensor, **kwargs: torch.Tensor) -> dict:
        """Do nothing."""
        return {}

    def train_step(self, data: Any, optim_wrapper: OptimWrapper) -> dict:
        """Let the schedulers see a step."""
        optim_wrapper.step()
        return {}


class _Recorder(Hook):
    priority = 'LOWEST'

    def __init__(self) -> None:
        self.learning_rates: list[float] = []
        self.temperatures: list[float] = []

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Note what this iteration runs with."""
        self.learning_rates.append(runner.optim_wrapper.get_lr()['lr'][0])
        self.temperatures.append(float(runner.model.layer.temperature))
