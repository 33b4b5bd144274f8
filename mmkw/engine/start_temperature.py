"""Finds out before a training whether its layers begin at a temperature that suits the weights they start from."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Optional

from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from torch import nn

from mmkw.config import LaunchError, init_entries, type_name
from mmkw.layers import TemperatureRange, temperature_ranges

from .preflight import read_weights
from .temperature_hook import TemperatureHook
from .unwrap import unwrap


class _Start(NamedTuple):
    """Weights that a layer starts from."""

    source: str
    temperature: Optional[float]  # that they were made for; None if it is not known


def check_start_temperature(model: nn.Module, hooks: Iterable[Hook], load_from: Optional[str] = None) -> None:
    """Check that the temperature at which layers begin suits the weights that they start from.

    Plain weights need a hook that lowers it, trained ones one that does not raise it again, and new ones begin badly
    without a hook.

    Args:
        model: The model, before its ``init_cfg`` is carried out.
        hooks: Those of its Runner.
        load_from: A checkpoint that the whole model is filled from. Default: None.

    Raises:
        LaunchError: If layers would stay where their attentions do little or nothing. In the two other cases a warning
            is logged, as either may be meant.
    """
    starts, hook_of = _starts(model, load_from), _hook_of(model, hooks)
    new: dict[str, TemperatureRange] = {}
    raised = None
    for name, (layer, own) in temperature_ranges(model).items():
        start, hook, kind = starts.get(id(layer)), hook_of.get(id(layer)), type(layer).__name__
        if start is None:
            if hook is None and getattr(layer, 'attention_init', None) != 'start':
                new[name] = own
        elif hook is None and start.temperature == own.start:
            raise LaunchError(
                f'{start.source} starts the {kind} at temperature {own.start:g}, where its attentions do little or '
                "nothing, and no hook lowers it; add dict(type='TemperatureHook', end=...) to custom_hooks"
            )
        elif hook is not None and start.temperature == own.end != hook.ends(own)[0]:
            raised = raised or (
                f'{start.source} fills the {kind} with weights that were trained at temperature {own.end:g}, and the '
                f'TemperatureHook begins at {hook.ends(own)[0]:g} again, where other kernels are mixed: the network '
                "forgets. Leave the hook out, or give it the part of the model that is new (part='neck'), "
                'unless that is meant'
            )
    warn = MMLogger.get_current_instance().warning
    if raised:
        warn(raised)
    if new:
        warn(_of_new_layers(new, beside_others=bool(starts)))


def _of_new_layers(layers: Mapping[str, TemperatureRange], beside_others: bool) -> str:
    (name, own), *rest = layers.items()
    more = f' and {len(rest)} more' if rest else ''
    part = f", part='{name.partition('.')[0]}'" if beside_others else ''
    return (
        f'{name}{more}: no checkpoint fills these layers, and no hook lowers their temperature. It is {own.end:g} from '
        'the first step on, where new attentions decide alone; published trainings lower it from '
        f"{own.start:g}. Add dict(type='TemperatureHook', end=...{part}) to custom_hooks, as docs/training.md says"
    )


def _hook_of(model: nn.Module, hooks: Iterable[Hook]) -> dict[int, TemperatureHook]:
    """id of a layer -> the hook that moves its temperature."""
    found = {}
    for hook in hooks:
        if isinstance(hook, TemperatureHook):
            try:
                found.update({id(layer): hook for layer, _ in hook.layers(model).values()})
            except ValueError as error:
                raise LaunchError(str(error)) from None
    return found


def _starts(model: nn.Module, load_from: Optional[str]) -> dict[int, _Start]:
    """id of a layer -> what it starts from; layers that start anew are left out."""
    starts: dict[int, _Start] = {}
    for module in model.modules():
        for entry in init_entries(getattr(module, 'init_cfg', None)):
            if 'checkpoint' in entry:
                starts.update(_filled(module, entry))
    if load_from:
        for layer, start in _filled(unwrap(model), dict(type='load_from', checkpoint=load_from)).items():
            # A file that is not of this part leaves it as init_cfg has made it.
            if start.temperature is not None or layer not in starts:
                starts[layer] = start
    return starts


def _filled(module: nn.Module, entry: Mapping[str, Any]) -> dict[int, _Start]:
    """id of each layer that an entry of ``init_cfg`` fills -> what it gets."""
    ranges, kind = temperature_ranges(module), type_name(entry)
    if not ranges:
        return {}
    source = f'{kind} ({entry["checkpoint"]})'
    if kind in ('PlainPretrained', 'PublishedPretrained'):
        is_plain = kind == 'PlainPretrained'
        return {id(layer): _Start(source, own.start if is_plain else own.end) for layer, own in ranges.values()}
    state = read_weights(entry['checkpoint'], entry.get('prefix')) or {}
    keys = {id(value): key for key, value in module.state_dict(keep_vars=True).items()}
    found = {id(layer): state.get(keys[id(layer.temperature)]) for layer, _ in ranges.values()}
    return {layer: _Start(source, None if value is None else float(value)) for layer, value in found.items()}
