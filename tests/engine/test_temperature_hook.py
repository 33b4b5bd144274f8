"""The temperature schedule in mmengine's Runner."""

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from mmkw.layers import KWLinear

EPOCH = 4  # iterations


class Model(BaseModel):
    def __init__(self, layer):
        super().__init__()
        self.layer, self.seen = layer, []

    def forward(self, x, mode='tensor'):
        if isinstance(self.layer, KWLinear):
            self.seen.append(float(self.layer.warehouses.temperature))
        return dict(loss=self.layer(x).square().mean())


def train(tmp_path, hook, epochs=3, layer=None, **kwargs):
    model = Model(KWLinear(4, 4) if layer is None else layer)
    loader = dict(
        dataset=[dict(x=x) for x in torch.randn(2 * EPOCH, 4)],
        batch_size=2,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
    )
    runner = Runner(
        model,
        str(tmp_path),
        train_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        custom_hooks=[dict(type='KWTemperatureHook', **hook)],
        experiment_name=f'{tmp_path.name}-{epochs}-{len(kwargs)}',
        **kwargs,
    )
    runner.train()
    return runner, model.seen


def schedule(length, iterations):
    return [max(0.0, 1 - (t + 1) / length) for t in range(iterations)]


def test_by_epoch(tmp_path):
    runner, seen = train(tmp_path, dict(end=2))
    assert seen == pytest.approx(schedule(2 * EPOCH, 3 * EPOCH))
    assert runner.message_hub.get_scalar('train/temperature').current() == 0


def test_by_iteration(tmp_path):
    _, seen = train(tmp_path, dict(end=5, by_epoch=False))
    assert seen == pytest.approx(schedule(5, 3 * EPOCH))


def test_resuming_goes_on_where_it_stopped(tmp_path):
    train(tmp_path, dict(end=2), epochs=1)
    _, seen = train(tmp_path, dict(end=2), epochs=3, resume=True)
    assert seen == pytest.approx(schedule(2 * EPOCH, 3 * EPOCH)[EPOCH:])


def test_a_model_without_kw_layers(tmp_path):
    with pytest.raises(ValueError, match='has no KernelWarehouse layer'):
        train(tmp_path, dict(end=2), layer=nn.Linear(4, 4))


@pytest.mark.parametrize('end', [0, -1])
def test_bad_end(tmp_path, end):
    with pytest.raises(ValueError, match=f'needs an end above 0, got {end}'):
        train(tmp_path, dict(end=end))
