"""How large a network's gradients become as its temperature falls."""

from collections.abc import Iterable, Sequence

import torch
from mmengine.model import BaseModel

from mmkw.layers import TemperatureRange, set_temperature, temperature_ranges


def gradient_norms(model: BaseModel, batches: Iterable[dict], rests: Sequence[float]) -> list[list[float]]:
    """Norm of all gradients of the training loss, before any step is taken, along the temperature schedule.

    A network whose layers mix at random (KernelWarehouse as published, a new one) can have gradients a million times as
    large at the end of the schedule as at its start. A schedule of many steps lets it learn meanwhile; a short one does
    not, and clipping by the norm then takes nearly all from the gradients of every other part.

    Args:
        model: A model with layers that have a temperature; in training mode afterwards, with the temperature of the
            last of ``rests``. Its norms' running statistics move, its parameters do not.
        batches: What its training data loader gives.
        rests: Which part of the schedule is left, each from 1, its start, to 0, its end. In KernelWarehouse it is tau.

    Returns:
        For each of ``rests`` the norms of the batches.

    Raises:
        ValueError: If no layer has a temperature.
    """
    if not temperature_ranges(model):
        raise ValueError('the model has no layer with a temperature; its gradients do not depend on one')
    model.train()
    batches = list(batches)
    norms = []
    for rest in rests:

        def temperature(own: TemperatureRange, rest: float = rest) -> float:
            return own.end + (own.start - own.end) * rest

        set_temperature(model, temperature)
        norms.append([_gradient_norm(model, batch) for batch in batches])
    return norms


def _gradient_norm(model: BaseModel, batch: dict) -> float:
    model.zero_grad()
    losses = model(**model.data_preprocessor(batch, True), mode='loss')
    model.parse_losses(losses)[0].backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    # In float64: squares of such gradients can leave float32's range.
    return torch.stack([gradient.double().norm() for gradient in gradients]).norm().item()
