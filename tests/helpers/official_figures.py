"""Figures of the published models (``tests/official/*.json``) and the weights they were computed on.

The rules are those of the published figures' own description: every weight follows from its key, so that a port is
right exactly when it gives the same numbers.
"""

import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

FOLDER = Path(__file__).parents[1] / 'official'


def load(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f'{name}.json').read_text())


def state_dict(figures: dict[str, Any], fill: str = 'B') -> dict[str, Tensor]:
    """The published state dict, float64.

    Fill ``'A'`` is for the evaluation of KernelWarehouse at tau = 0, ``'B'`` for everything else.
    """
    return {key: _weight(key, tuple(shape), fill, figures) for key, shape in figures['state_dict'].items()}


def _weight(key: str, shape: tuple[int, ...], fill: str, figures: dict[str, Any]) -> Tensor:
    t = np.random.RandomState(zlib.crc32(key.encode())).standard_normal(shape)
    if key.endswith('num_batches_tracked'):
        return torch.zeros((), dtype=torch.int64)
    if key.endswith('running_var'):
        value = 1 + 0.1 * np.abs(t)
    elif key.endswith('running_mean'):
        value = 0.1 * t
    elif 'warehouse_manager.weights' in key:
        value = t * math.sqrt((shape[0] if fill == 'A' else 2) / (4 * math.prod(shape[2:])))
    elif len(shape) == 1:
        value = 1 + 0.1 * t if key.endswith('weight') else 0.1 * t
    elif key.endswith('gamma'):
        value = 0.5 + 0.1 * t
    else:
        is_bank = len(shape) == 5
        value = t * math.sqrt(2 / figures.get('fans', {}).get(key, math.prod(shape[2 if is_bank else 1 :])))
        for ending, factor in figures.get('gain', {}).items():
            # By the rules, the ending '.weight' alone means banks of kernels.
            if key.endswith(ending) and (is_bank or ending != '.weight'):
                value = value * factor
    return torch.from_numpy(np.asarray(value))


def network_input(figures: dict[str, Any]) -> Tensor:
    return torch.from_numpy(np.random.RandomState(figures['input']['seed']).standard_normal(figures['input']['shape']))


def assert_statistics(actual: Tensor, expected: dict[str, Any], tolerance: float) -> None:
    """Shape, mean, std and 16 samples agree within ``tolerance`` of the largest sample."""
    actual = actual.detach().double()
    assert list(actual.shape) == expected['shape']
    samples = np.array(expected['samples'])
    scale = np.abs(samples).max()
    index = np.linspace(0, actual.numel() - 1, len(samples)).astype(np.int64)
    np.testing.assert_allclose(actual.flatten()[index].numpy(), samples, rtol=0, atol=tolerance * scale)
    np.testing.assert_allclose(actual.mean(), expected['mean'], rtol=0, atol=tolerance * scale)
    if actual.numel() > 1:
        np.testing.assert_allclose(actual.std(), expected['std'], rtol=0, atol=tolerance * scale)


def training_loss(outputs: dict[str, Tensor]) -> Tensor:
    """The published loss: projections of every stage output, and of the ``logits``, on fixed noise."""
    seeded = [(out, 200 if name == 'logits' else 100 + i) for i, (name, out) in enumerate(outputs.items())]
    return sum(
        (out * torch.from_numpy(np.random.RandomState(seed).standard_normal(out.shape))).sum() / out.numel()
        for out, seed in seeded
    )
