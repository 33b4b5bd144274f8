"""The random numbers of an epoch are the same in an uninterrupted and a resumed training."""

import random

import numpy as np
import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from mmkw.engine import epoch_seed_hook


class Noise(torch.utils.data.Dataset):
    """Items are their index and a number of every generator."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return torch.tensor([index, torch.rand(()), random.random(), np.random.rand()])


class Recorder(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer, self.seen = nn.Linear(4, 1), []

    def forward(self, *inputs, mode='tensor'):
        inputs = torch.stack(inputs)
        self.seen.append([*inputs.flatten().tolist(), torch.rand(()).item()])
        return dict(loss=self.layer(inputs).mean())


def train(folder, workers=0, epochs=2, resume_from=None, **randomness):
    runner = Runner(
        Recorder(),
        str(folder),
        train_dataloader=dict(
            dataset=Noise(),
            batch_size=2,
            num_workers=workers,
            persistent_workers=workers > 0,
            sampler=dict(type='DefaultSampler', shuffle=True),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        custom_hooks=[dict(type='EpochSeedHook')],
        randomness=randomness,
        load_from=resume_from,
        resume=resume_from is not None,
        experiment_name=f'{folder.parent.name}-{folder.name}',  # mmengine keeps its loggers by name
    )
    runner.train()
    runner.train_dataloader._iterator = None  # ends the worker now; garbage collection would come later
    batches = runner.model.seen
    return batches[:2], batches[2:]


@pytest.mark.parametrize('workers', [0, 1])
@pytest.mark.parametrize('randomness', [dict(seed=5), dict(seed=None)], ids=['seed', 'no-seed'])
def test_a_resumed_epoch_sees_what_the_uninterrupted_one_saw(tmp_path, workers, randomness):
    _, second = train(tmp_path / 'whole', workers, **randomness)
    first = tmp_path / 'whole' / 'epoch_1.pth'
    resumed, _ = train(tmp_path / 'resumed', workers, resume_from=str(first), **randomness)
    assert resumed == second


@pytest.mark.parametrize('workers', [0, 1])
def test_epochs_differ(tmp_path, workers):
    first, second = train(tmp_path / 'run', workers, seed=5)
    assert not set(sum(first, [])) & set(sum(second, [])) - {0.0, 1.0, 2.0, 3.0}


@pytest.mark.parametrize('workers', [0, 1])
def test_seeds_differ(tmp_path, workers):
    numbers = [sum(sum(train(tmp_path / str(seed), workers, seed=seed), []), []) for seed in (5, 6)]
    assert not set(numbers[0]) & set(numbers[1]) - {0.0, 1.0, 2.0, 3.0}


def test_ranks_differ(tmp_path, monkeypatch):
    first, _ = train(tmp_path / 'rank0', seed=5)
    monkeypatch.setattr(epoch_seed_hook, 'get_rank', lambda: 1)
    other, _ = train(tmp_path / 'rank1', seed=5)
    assert [batch[-1] for batch in first] != [batch[-1] for batch in other]
