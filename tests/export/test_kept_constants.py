"""ONNX files hold what layers keep for inference as constants, and no warehouse beside it."""

import onnx
import pytest
import torch
from torch import nn

from mmkw import convert, set_inference_memory, set_temperature
from mmkw.export import export_onnx
from mmkw.ops import association
from mmkw.plans import WarehousePlan


def network(**settings):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3))
    plan = {'a': WarehousePlan(['0'], budget=4), 'b': WarehousePlan(['1'], budget=4, **settings)}
    return convert(plain, plan).eval()


def constants(path):
    return {tuple(value.dims) for value in onnx.load(path).graph.initializer}


@pytest.mark.parametrize('batch', [2, None])
@pytest.mark.parametrize('settings', [dict(), dict(norm='LN', start='none')])
def test_a_mixed_basis_takes_the_place_of_the_warehouse(tmp_path, monkeypatch, batch, settings):
    monkeypatch.setattr(association.Factors, 'kept_work', lambda self, batch: 0)
    model = network(**settings)
    set_temperature(model, 0.3)
    warehouses = {(len(cells), cells[0].numel()) for cells in model.warehouses.parameters()}
    mixed = {(layer.factors.mixtures, layer.factors.rows, layer.factors.cell) for layer in list(model)[:2]}
    set_inference_memory(model, 0)
    export_onnx(model, tmp_path / 'direct.onnx', (6, 6), batch)
    set_inference_memory(model, 2**20)
    export_onnx(model, tmp_path / 'kept.onnx', (6, 6), batch)  # checked against onnxruntime
    assert not mixed & constants(tmp_path / 'direct.onnx')
    assert mixed <= constants(tmp_path / 'kept.onnx')
    whole = {tuple(cells.shape) for cells in model.warehouses.parameters()}
    assert not (whole | warehouses) & constants(tmp_path / 'kept.onnx')
