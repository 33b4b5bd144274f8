"""The ecosystem's counters of multiply-adds find what ``model_info`` does."""

import re
import runpy
import sys
from pathlib import Path

import mmdet
import mmpretrain
import pytest
import torch
from mmengine.analysis import FlopAnalyzer
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmkw import convert
from mmkw.demo import shapes
from mmkw.inspection import model_info
from mmkw.models import KWConvNeXt, KWMobileNetV2, KWResNet
from mmkw.plans import WarehousePlan
from running import ROOT

BACKBONES = {
    'ResNet18': lambda: KWResNet(18),
    'ResNet50 in the basis form': lambda: KWResNet(50, budget='1/2x'),
    'MobileNetV2': lambda: KWMobileNetV2(),
    'ConvNeXt': lambda: KWConvNeXt('tiny'),
}
SIZE = (1, 3, 224, 224)


def multiply_adds(model, size, forward=None):
    model.to('meta').eval()
    info = model_info(model, forward or model, torch.zeros(size, device='meta'))
    return info.convolution + info.attention + info.assembly


@pytest.mark.parametrize('build', BACKBONES.values(), ids=BACKBONES)
def test_counters_of_operators(build):
    network, x = build().eval(), torch.randn(SIZE)
    # mmengine's counter also counts norms and pooling; model_info does not.
    by_operator = FlopAnalyzer(network, x).by_operator()
    products = sum(by_operator[kind] for kind in ('conv', 'linear', 'matmul'))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(x)
    assert products == multiply_adds(network, SIZE)
    assert counter.get_total_flops() == 2 * products


def test_training_counts_the_gradients_too():
    layers = {'both': WarehousePlan(['0', '1'])}
    network = convert(nn.Sequential(nn.Conv2d(4, 8, 3, groups=2), nn.Conv2d(8, 4, 1)), layers).eval()
    x = torch.randn(3, 4, 8, 8, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        network(x).sum().backward()
    # The gradient of an input, and that of a weight, cost what the product itself does.
    assert counter.get_total_flops() == 3 * 2 * 3 * multiply_adds(network, (1, 4, 8, 8))


@pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning')
def test_a_module_traced_to_be_run_takes_any_batch():
    with torch.no_grad():
        network = KWResNet(18, base_channels=8, stem_channels=8).eval()
        traced = torch.jit.trace(network, torch.randn(1, 3, 32, 32))
        x = torch.randn(3, 3, 32, 32)
        torch.testing.assert_close(traced(x), network(x))


# --- the libraries' scripts ---------------------------------------------------------------------------------------


@pytest.fixture
def get_flops(monkeypatch, capsys):
    def run(library, *arguments):
        script = Path(library.__file__).parent / '.mim/tools/analysis_tools/get_flops.py'
        monkeypatch.setattr(sys, 'argv', [str(script), *map(str, arguments)])
        runpy.run_path(str(script), run_name='__main__')
        return float(re.search(r'Flops: ([\d.]+)G', capsys.readouterr().out)[1]) * 1e9

    return run


def of_features(config, size):
    config = Config.fromfile(config)
    with DefaultScope.overwrite_default_scope(config.default_scope):
        model = MODELS.build(config.model)
    return multiply_adds(model, size, model.extract_feat)


def test_get_flops_of_a_classifier(get_flops):
    config = ROOT / 'configs' / 'imagenet' / 'kw1x_r18_in1k.py'
    assert get_flops(mmpretrain, config) == pytest.approx(of_features(config, SIZE), rel=0.01)


@pytest.mark.slow
def test_get_flops_of_a_detector(get_flops, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shapes.generate(tmp_path / 'shapes', seed=0, train=2, val=2, size=64)
    options = [
        'val_dataloader.dataset.data_root=shapes/',
        'val_dataloader.dataset.ann_file=annotations/instances_val.json',
        'val_dataloader.dataset.data_prefix.img=val/',
        'val_dataloader.dataset.pipeline.1.scale=(256,256)',
        'val_dataloader.num_workers=0',
        'val_dataloader.persistent_workers=False',
        'model.test_cfg.rpn.max_per_img=10',  # else chance decides on the number of regions and the heads' work
    ]
    configs = [ROOT / 'configs' / f'mask_rcnn_{name}_1x_coco.py' for name in ('kw_r50', 'r50')]
    kw, plain = (get_flops(mmdet, config, '--num-images=1', '--cfg-options', *options) for config in configs)
    # The heads, which model_info leaves out, are the same in both.
    kw_features, plain_features = (of_features(config, (1, 3, 256, 256)) for config in configs)
    assert kw - plain + plain_features == pytest.approx(kw_features, rel=0.01)
