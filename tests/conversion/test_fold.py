"""Folded networks are the plain ones that stock mmdet and mmpretrain build."""

import copy

import pytest
import torch
from mmdet.models.backbones import ResNet as MMDetResNet
from mmengine.config import Config
from mmpretrain.models.backbones import ConvNeXt, MobileNetV2
from torch import nn

from mmkw.checkpoints import files
from mmkw.checkpoints.folded import write_folded
from mmkw.conversion import convert, fold, mean_attention, output_difference
from mmkw.layers import KWConvNd, set_temperature
from mmkw.models import KWConvNeXt, KWLinearClsHead, KWMobileNetV2, KWResNet
from mmkw.plans import WarehousePlan

TINY_CONVNEXT = dict(depths=[1, 1, 3, 1], channels=[8, 16, 24, 32])
PAIRS = {
    'mmdet ResNet': (
        lambda: KWResNet(18, base_channels=8, stem_channels=8, out_indices=(0, 1, 2, 3)),
        lambda: MMDetResNet(18, base_channels=8, stem_channels=8),
    ),
    'MobileNetV2': (
        lambda: KWMobileNetV2('4x', 0.25, out_indices=(1, 2, 4, 7)),
        lambda: MobileNetV2(0.25, out_indices=(1, 2, 4, 7)),
    ),
    'ConvNeXt': (
        lambda: KWConvNeXt(TINY_CONVNEXT, out_indices=(0, 1, 2, 3)),
        lambda: ConvNeXt(TINY_CONVNEXT, out_indices=(0, 1, 2, 3), linear_pw_conv=False),
    ),
}


def images(batch=2, size=64, seed=1):
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def with_statistics(model):
    """Give norms and biases values as after training; those of a fresh network would hide errors."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, value in (*model.named_parameters(), *model.named_buffers()):
            if value.dim() == 1 and 'attention' not in name:
                value.copy_(torch.rand(value.shape, generator=generator, dtype=value.dtype) + 0.5)
    return model


@pytest.mark.parametrize('pair', PAIRS)
def test_at_temperature_1_the_stock_backbone_loads_it_and_computes_the_same(pair):
    torch.manual_seed(0)
    kw, stock = (build().double() for build in PAIRS[pair])
    for backbone in (kw, stock):
        backbone.eval()  # a statement of its own: mmpretrain's backbones return None
    set_temperature(with_statistics(kw), 1)
    stock.load_state_dict(fold(kw).state_dict())  # strict
    x = images()
    with torch.no_grad():
        for expected, found in zip(kw(x), stock(x)):
            torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def small(temperature=0.25, **settings):
    """Has every kind of layer: grouped, strided, dilated, with other padding, 1-d, linear; some share a warehouse."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(8, 8, 3, 2, 1, groups=2, bias=False),
        nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=2, padding_mode='reflect'),
        nn.BatchNorm2d(8),
        nn.Flatten(2),
        nn.Conv1d(8, 16, 3, stride=2),
        nn.Flatten(),
        nn.LazyLinear(6),
    )
    model(torch.zeros(2, 8, 12, 12))
    groups = {'convs': ('0', '1'), 'conv1d': ('4',), 'linear': ('6',)}
    convert(model, {name: WarehousePlan(layers, **settings) for name, layers in groups.items()})
    set_temperature(model, temperature)
    return model.double().eval()


def inputs(batch=3, seed=0):
    return torch.randn(batch, 8, 12, 12, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_constant_attention_folds_exactly():
    model = small()
    for layer in model.modules():
        if isinstance(layer, KWConvNd):
            nn.init.zeros_(layer.attention.fc2.weight)  # what is left is a bias: the same logits for every input
            nn.init.normal_(layer.attention.fc2.bias)
    folded = fold(model, mean_attention(model, [inputs(seed=1), inputs(1, seed=2)]))
    assert not any(isinstance(module, KWConvNd) for module in folded.modules())
    x = inputs()
    with torch.no_grad():
        torch.testing.assert_close(folded(x), model(x), rtol=1e-10, atol=1e-10)
    assert output_difference(model, folded, [x], lambda network, batch: network(batch)) < 1e-10


def test_mean_attention_counts_every_sample_the_same():
    model = small()
    x = inputs(4)
    whole, parts = mean_attention(model, [x]), mean_attention(model, [x[:1], x[1:]])
    for name in whole:
        torch.testing.assert_close(whole[name], parts[name])
    layer = model[0]
    torch.testing.assert_close(whole['0'], layer.alpha(x).mean(0).detach())


def test_attention_of_the_input_is_an_approximation_that_is_measured():
    model = small(temperature=0)
    folded = fold(model, mean_attention(model, [inputs(8)]))
    x = inputs()
    with torch.no_grad():
        expected, found = model(x), folded(x)
    difference = output_difference(model, folded, [x[:2], x[2:]], lambda network, batch: (network(batch), [batch]))
    norm = (expected.square().sum() + x.square().sum()).sqrt()
    assert difference == pytest.approx(float((found - expected).norm() / norm)) and difference > 1e-4


def test_the_model_stays_as_it_is():
    model = small(1).train()
    before = copy.deepcopy(model.state_dict())
    folded = fold(model)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    nn.init.zeros_(folded[1].bias)
    assert torch.equal(model[1].bias, before['1.bias'])
    mean_attention(model, [inputs()])
    assert all(module.training for module in model.modules())


def test_a_classifier_head_folds():
    torch.manual_seed(0)
    head = KWLinearClsHead(5, 64, cell_inplane_ratio=0.25).double().eval()
    set_temperature(head, 1)
    folded = fold(head)
    assert type(folded.fc) is nn.Linear
    x = (images(2, 8)[:, 0].flatten(1),)
    torch.testing.assert_close(folded(x), head(x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('settings', [dict(start='all_to_one'), dict(sharing='none', budget=2)])
def test_other_start_assignments_fold_at_temperature_1(settings):
    model = small(1, **settings)
    with torch.no_grad():
        torch.testing.assert_close(fold(model)(inputs()), model(inputs()), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    'make, attention, message',
    [
        (lambda: small(0.5), None, "'0' depends on the input .tau = 0.5."),
        (lambda: small(1, start='none'), None, "'0' depends on the input .start='none'."),
        (lambda: nn.Sequential(nn.Linear(2, 2)), None, 'Sequential has no dynamic layer'),
        (lambda: small(1), {'0': torch.zeros(1)}, "each of the 4 dynamic layers, '1' does not match"),
    ],
)
def test_what_cannot_be_folded_is_named(make, attention, message):
    with pytest.raises(ValueError, match=message):
        fold(make(), attention)


def test_mean_attention_needs_data():
    with pytest.raises(ValueError, match="no data reached '0' and 3 other"):
        mean_attention(small(), [])


# --- files --------------------------------------------------------------------------------------------------------

CLASSIFIER = """
default_scope = 'mmpretrain'
model = dict(
    type='ImageClassifier',
    backbone=dict(type='{kind}', arch={arch}),
    head=dict(type='LinearClsHead', num_classes={classes}, in_channels=32),
)
"""


@pytest.fixture
def classifier(tmp_path):
    """Configs of a KW classifier, of the plain one and of a plain one with more classes."""
    paths = {}
    for name, kind, classes in (('kw', 'KWConvNeXt', 4), ('plain', 'ConvNeXt', 4), ('other', 'ConvNeXt', 5)):
        paths[name] = tmp_path / f'{name}.py'
        paths[name].write_text(CLASSIFIER.format(kind=kind, arch=TINY_CONVNEXT, classes=classes))
    torch.manual_seed(0)
    model = files.build_model(Config.fromfile(paths['kw']))
    set_temperature(model, 1)
    return model, paths, tmp_path / 'out' / 'folded.pth'


def test_a_stock_config_loads_the_file(classifier):
    model, paths, target = classifier
    write_folded(fold(model), target, paths['plain'])
    stock = files.build_model(Config.fromfile(paths['plain']))
    stock.load_state_dict(torch.load(target, weights_only=True)['state_dict'])  # strict; with Linear pointwise layers
    x = images(2, 32).float()
    with torch.no_grad():
        torch.testing.assert_close(stock(x), model(x), rtol=1e-4, atol=1e-5)


def test_a_file_that_the_plain_config_cannot_load_is_not_written(classifier):
    model, paths, target = classifier
    with pytest.raises(ValueError, match=r'does not fit .*other.py:\n  2 of another shape: head.fc.weight'):
        write_folded(fold(model), target, paths['other'])
    assert not target.exists()
