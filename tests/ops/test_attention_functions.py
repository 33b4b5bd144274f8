"""The attention functions that the paper compares with its own equal their formulas."""

import pytest
import torch

from mmkw.ops import contrasting_attention

LOGITS = torch.tensor([[[0.0, 1.0, -1.0, 2.0]]])
E1, E2 = 2.718281828, 7.389056099


@pytest.mark.parametrize(
    'function, expected',
    [
        ('caf', [0, 1 / 4.001, -1 / 4.001]),
        ('softmax', [1 / (1 + E1 + 1 / E1 + E2), E1 / (1 + E1 + 1 / E1 + E2), 1 / E1 / (1 + E1 + 1 / E1 + E2)]),
        ('sigmoid', [0.5, E1 / (1 + E1), 1 / (1 + E1)]),
    ],
)
def test_functions_of_the_logits(function, expected):
    alpha = contrasting_attention(LOGITS, 0.0, torch.zeros(1, 3), function)
    torch.testing.assert_close(alpha[0, 0], torch.tensor(expected))


@pytest.mark.parametrize('function', ['softmax', 'sigmoid'])
def test_every_function_is_blended_with_the_start(function):
    start = torch.tensor([[0.0, 1.0, 0.0]])
    cold = contrasting_attention(LOGITS, 0.0, start, function)
    torch.testing.assert_close(contrasting_attention(LOGITS, 0.25, start, function), 0.75 * cold + 0.25 * start)
