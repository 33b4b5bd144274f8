"""DistributedDataParallel needs no ``find_unused_parameters`` and gives the gradients of the joined batch."""

import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

import mmkw
from mmkw.models import KWResNet


def build(with_cp):
    torch.manual_seed(0)
    backbone = KWResNet(
        18, base_channels=8, stem_channels=8, frozen_stages=1, norm_eval=True, with_cp=with_cp, out_indices=(1, 3)
    )
    mmkw.set_temperature(backbone, 0.5)
    return backbone.double().train()


def batch():
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1)).double()


def step(model, x):
    loss = sum(out.square().mean() for out in model(x))
    loss.backward()


def worker(rank, port, with_cp, folder):
    torch.set_num_threads(1)
    dist.init_process_group('gloo', f'tcp://127.0.0.1:{port}', rank=rank, world_size=2)
    backbone = build(with_cp)
    model = DistributedDataParallel(backbone)
    for _ in range(2):  # a second pass would wait for gradients that the first had not brought
        model.zero_grad()
        step(model, batch()[rank * 2 : rank * 2 + 2])
    gradients = {name: p.grad for name, p in backbone.named_parameters()}
    torch.save(gradients, f'{folder}/{rank}.pth')
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize('with_cp', [False, True])
def test_two_processes_equal_one_on_the_joined_batch(tmp_path, with_cp):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    mp.spawn(worker, (port, with_cp, str(tmp_path)), nprocs=2)
    backbone = build(with_cp)
    step(backbone, batch())
    expected = {name: p.grad for name, p in backbone.named_parameters()}
    for rank in range(2):
        gradients = torch.load(tmp_path / f'{rank}.pth', weights_only=True)
        assert gradients.keys() == expected.keys()
        for name, grad in expected.items():
            assert (grad is None) == (gradients[name] is None), name
            if grad is not None:
                torch.testing.assert_close(gradients[name], grad, msg=lambda text, name=name: f'{name}: {text}')
