"""Gradient norms along the temperature schedule are those of the training loss."""

from functools import partial

import pytest
import torch
from mmengine.model import BaseDataPreprocessor, BaseModel
from torch import nn

from mmkw import set_temperature
from mmkw.inspection import gradient_norms
from mmkw.layers import KWConv2d, ODConv2d
from mmkw.models import KWMobileNetV2


class Squares(BaseModel):
    """Its loss is the mean square of a network's output."""

    def __init__(self, network):
        super().__init__(BaseDataPreprocessor())
        self.network = network

    def forward(self, inputs, mode):
        assert mode == 'loss'
        return dict(loss=self.network(inputs).square().mean())


def small(layer):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), layer(8, 8, 3))


def batches(count=2, size=8):
    return [
        dict(inputs=torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(i))) for i in range(count)
    ]


@pytest.mark.parametrize(
    'layer, temperatures',
    [(KWConv2d, (1, 0.25, 0)), (partial(ODConv2d, kernels=4), (30, 8.25, 1))],
    ids=['from 1 to 0', 'from 30 to 1'],
)
def test_norm_of_all_gradients_at_each_temperature(layer, temperatures):
    network = small(layer)
    expected = []
    for temperature in temperatures:
        set_temperature(network, temperature)
        row = []
        for batch in batches():
            network.zero_grad()
            network(batch['inputs']).square().mean().backward()
            row.append(nn.utils.clip_grad_norm_(network.parameters(), 1e9).item())
        expected.append(row)
    found = gradient_norms(Squares(network), batches(), (1, 0.25, 0))
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected))


def test_parameters_stay():
    model = Squares(small(KWConv2d))
    before = [parameter.clone() for parameter in model.parameters()]
    gradient_norms(model, batches(), (1, 0))
    assert all(map(torch.equal, before, model.parameters()))


def test_a_plain_network_has_no_schedule():
    with pytest.raises(ValueError, match='no layer with a temperature'):
        gradient_norms(Squares(nn.Conv2d(3, 8, 3)), batches(), (1, 0))


@pytest.mark.parametrize('attention_init, growth', [('random', (1e4, 1e12)), ('start', (0.1, 10))])
def test_gradients_of_a_new_network_explode_unless_attentions_begin_as_the_start_assignment(attention_init, growth):
    """What docs/study.md tells of MobileNetV2."""

    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.body = KWMobileNetV2(widen_factor=0.25, attention_init=attention_init)

        def forward(self, x):
            return self.body(x)[-1]

    (first,), (last,) = gradient_norms(Squares(Last()), batches(1, 64), (1, 0))
    assert growth[0] < last / first < growth[1]
