"""A training checkpoint that mmkw 0.1 wrote, before layers moved into a house for ten methods, goes on as before."""

from pathlib import Path

import torch
from torch import nn

from mmkw import convert
from mmkw.plans import WarehousePlan

FILE = Path(__file__).parent / 'files' / 'before_the_house.pth'


def test_a_training_goes_on():
    saved = torch.load(FILE, weights_only=True)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=2),
        nn.ReLU(),
        nn.Conv2d(8, 4, 1),
        nn.Flatten(),
        nn.Linear(4, 2),
    )
    plan = {
        'convs': WarehousePlan(['2', '4'], budget=2),
        'stem': WarehousePlan(['0'], budget=0.5, cell_outplane_ratio=0.5, norm='LN'),
        'fc': WarehousePlan(['6']),
    }
    convert(model, plan)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    assert list(model.state_dict()) == list(saved['state_dict'])
    model.load_state_dict(saved['state_dict'])
    optimizer.load_state_dict(saved['optimizer'])
    assert model.warehouses.temperature == 0.25
    torch.testing.assert_close(model.eval()(saved['input']), saved['output'])

    model.train()(saved['input']).square().mean().backward()
    optimizer.step()
    torch.testing.assert_close(model.eval()(saved['input']), saved['output_after_a_step'])
