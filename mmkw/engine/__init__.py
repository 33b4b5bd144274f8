"""Holds everything that touches mmengine's runner; importing it changes three things outside mmkw, see README."""

from mmkw.config import LaunchError

from .batches import check_batches
from .classes import check_classes
from .config_names import know_config_names
from .epoch_seed_hook import EpochSeedHook
from .parameter_rules import see_banks_as_layers
from .preflight import check_files
from .safe_load import allow_training_checkpoints
from .temperature_hook import KWTemperatureHook, TemperatureHook

allow_training_checkpoints()
know_config_names()
see_banks_as_layers()

__all__ = [
    'EpochSeedHook',
    'KWTemperatureHook',
    'LaunchError',
    'TemperatureHook',
    'allow_training_checkpoints',
    'check_batches',
    'check_classes',
    'check_files',
    'know_config_names',
    'see_banks_as_layers',
]
