"""DistributedDataParallel needs no ``find_unused_parameters`` and gives the gradients of the joined batch."""

import os

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

import mmkw
from mmkw.models import KWConvNeXt, KWMobileNetV2, KWResNet, converted_backbone
from running import free_port

SMALL_RESNET = dict(depth=18, base_channels=8, stem_channels=8, frozen_stages=1, norm_eval=True, out_indices=(1, 3))
CONVNEXT = dict(arch=dict(depths=[1, 1, 1, 1], channels=[8, 16, 24, 32]), layer_scale_init_value=1.0)
BACKBONES = {
    'KWResNet': lambda: KWResNet(**SMALL_RESNET),
    'KWResNet with_cp': lambda: KWResNet(**SMALL_RESNET, with_cp=True),
    'KWMobileNetV2': lambda: KWMobileNetV2(widen_factor=0.1, norm_eval=True),
    'KWConvNeXt': lambda: KWConvNeXt(**CONVNEXT),
    'ODConv with_cp': lambda: converted('ODConv'),
    'CondConv with_cp': lambda: converted('CondConv'),
    'WeightNet with_cp': lambda: converted('WeightNet'),
    'CBAM with_cp': lambda: converted('CBAM'),
    'CGC with_cp': lambda: converted('CGC'),
    'DCD with_cp': lambda: converted('DCD', fc_std=0.01),  # else it overflows, as its fresh norms hold nothing back
}


def converted(method, **settings):
    return converted_backbone(dict(type='PlainResNet', **SMALL_RESNET, with_cp=True), dict(type=method, **settings))


def build(name):
    torch.manual_seed(0)
    backbone = BACKBONES[name]()
    if hasattr(backbone, 'warehouses'):
        mmkw.set_temperature(backbone, 0.5)
    return backbone.double().train()


def batch():
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1)).double()


def step(model, x):
    loss = sum(out.square().mean() for out in model(x))
    loss.backward()


def worker(rank, port, name, folder):
    torch.set_num_threads(1)
    dist.init_process_group('gloo', f'tcp://127.0.0.1:{port}', rank=rank, world_size=2)
    backbone = build(name)
    model = DistributedDataParallel(backbone)
    for _ in range(2):  # a second pass would wait for gradients that were missing in the first
        model.zero_grad()
        step(model, batch()[rank * 2 : rank * 2 + 2])
    gradients = {key: p.grad for key, p in backbone.named_parameters()}
    torch.save(gradients, f'{folder}/{rank}.pth')
    dist.barrier()
    os._exit(0)  # gloo's threads abort an ordinary exit now and then: terminate without an active exception


@pytest.mark.slow
@pytest.mark.parametrize('name', BACKBONES)
def test_two_processes_equal_one_on_the_joined_batch(tmp_path, name):
    mp.spawn(worker, (free_port(), name, str(tmp_path)), nprocs=2)
    backbone = build(name)
    step(backbone, batch())
    expected = {key: p.grad for key, p in backbone.named_parameters()}
    for rank in range(2):
        gradients = torch.load(tmp_path / f'{rank}.pth', weights_only=True)
        assert gradients.keys() == expected.keys()
        for key, grad in expected.items():
            assert (grad is None) == (gradients[key] is None), key
            if grad is not None:
                torch.testing.assert_close(gradients[key], grad, msg=lambda text, key=key: f'{key}: {text}')
