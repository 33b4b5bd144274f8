"""Counting parameters and multiply-adds."""

import pytest
import torch
from torch import nn

from mmkw import convert
from mmkw.inspection import bank_table, model_info
from mmkw.models import KWResNet, PlainResNet
from mmkw.plans import WarehousePlan


def count(model, *shape):
    model.to('meta').train(False)
    return model_info(model, model, torch.zeros(shape, device='meta'))


def test_plain_layers():
    info = count(nn.Sequential(nn.Conv2d(4, 6, 3, groups=2), nn.Flatten(1, 2), nn.Linear(6, 5)), 1, 4, 8, 8)
    assert info.convolution == 6 * 6 * 6 * (2 * 9) + 36 * 6 * 5
    assert (info.attention, info.assembly, info.banks) == (0, 0, [])


def test_kernel_warehouse_layers():
    network = convert(nn.Sequential(nn.Conv2d(4, 8, 3), nn.Conv2d(8, 4, 1)), {'both': WarehousePlan(['0', '1'])})
    info = count(network, 1, 4, 8, 8)
    cells = 18 + 2
    assert info.convolution == 36 * 8 * 4 * 9 + 36 * 4 * 8
    assert info.assembly == cells * cells * 16
    assert info.attention == 16 * (4 + 18 * (cells + 1)) + 16 * (8 + 2 * (cells + 1))


def test_convolutions_cost_what_the_plain_networks_do():
    """ResNet50 has 4.09 G multiply-adds at 224 x 224 without its classifier."""
    plain, kw = (count(network(50), 1, 3, 224, 224).convolution for network in (PlainResNet, KWResNet))
    assert plain == kw
    assert plain == pytest.approx(4.09e9, rel=1e-3)


def test_bank_table():
    rows = bank_table(KWResNet(18, budget='1/4x'))
    assert [row.name for row in rows] == [f'warehouses.stage{stage}' for stage in range(4)]
    assert (rows[3].shape, rows[3].mixtures, rows[3].budget) == ((27, 256, 256, 1, 1), 108, 0.25)
    assert rows[3].layers == ['layer4.0.conv2', 'layer4.1.conv1', 'layer4.1.conv2']
