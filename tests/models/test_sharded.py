"""FSDP2 (torch's ``fully_shard``) gives the gradients of the joined batch, with warehouses that all stages share."""

import os

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

import mmkw
from mmkw.models import KWResNet, converted_backbone
from running import free_port

RESNET = dict(depth=18, base_channels=8, stem_channels=8, norm_eval=True, out_indices=(1, 3))
BACKBONES = {
    'KWResNet': lambda: KWResNet(**RESNET),
    'ODConv': lambda: converted_backbone(dict(type='PlainResNet', **RESNET), dict(type='ODConv')),
}


def build(name):
    torch.manual_seed(0)
    backbone = BACKBONES[name]()
    if hasattr(backbone, 'warehouses'):
        mmkw.set_temperature(backbone, 0.5)
    return backbone.double().train()


def step(model, x):
    sum(out.square().mean() for out in model(x)).backward()


def batch():
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1)).double()


def worker(rank, port, name, folder):
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE='2')
    dist.init_process_group('gloo')
    mesh = init_device_mesh('cpu', (2,))
    model = build(name)
    for layer in model.res_layers:
        fully_shard(getattr(model, layer), mesh=mesh)
    fully_shard(model, mesh=mesh)  # what is left, such as the warehouses: they stay whole until the backward pass ends
    optimizer = torch.optim.AdamW(model.parameters(), 0.01)
    for _ in range(2):
        optimizer.zero_grad()
        step(model, batch()[rank * 2 : rank * 2 + 2])
        gradients = {key: p.grad.full_tensor() for key, p in model.named_parameters() if p.grad is not None}
        optimizer.step()
    held = sum(p.to_local().numel() for p in model.parameters())
    torch.save((gradients, held), f'{folder}/{rank}.pth')
    dist.barrier()
    os._exit(0)  # gloo's threads abort an ordinary exit now and then: terminate without an active exception


@pytest.mark.slow
@pytest.mark.parametrize('name', BACKBONES)
def test_two_processes_with_half_of_the_weights_equal_one(tmp_path, name):
    mp.spawn(worker, (free_port(), name, str(tmp_path)), nprocs=2)
    model = build(name)
    optimizer = torch.optim.AdamW(model.parameters(), 0.01)
    for _ in range(2):  # in the second step the weights are those of the first
        optimizer.zero_grad()
        step(model, batch())
        expected = {key: p.grad.clone() for key, p in model.named_parameters() if p.grad is not None}
        optimizer.step()
    held = []
    for rank in range(2):
        gradients, numel = torch.load(tmp_path / f'{rank}.pth', weights_only=True)
        held.append(numel)
        assert gradients.keys() == expected.keys()
        for key, grad in expected.items():
            torch.testing.assert_close(gradients[key], grad, msg=lambda text, key=key: f'{key}: {text}')
    numel = sum(p.numel() for p in model.parameters())
    assert sum(held) == numel and max(held) < 0.6 * numel


def test_a_warehouse_has_its_gradient_when_the_backward_pass_leaves_its_stage():
    """What docs/scale.md says of DDP, which sends a gradient as soon as it is there."""
    model, order = build('KWResNet'), []
    for name, parameter in model.named_parameters():
        parameter.register_post_accumulate_grad_hook(lambda _, name=name: order.append(name))
    step(model, batch())
    for stage in range(1, 4):
        ready = order.index(f'warehouses.stage{stage}')
        layers = [order.index(f'layer{stage + 1}.{layer}.attention.fc1.weight') for layer in ('1.conv2', '1.conv1')]
        assert max(layers) < ready < order.index(f'layer{stage}.1.conv2.attention.fc1.weight')
