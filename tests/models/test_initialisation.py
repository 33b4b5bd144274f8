"""No init_cfg of any module changes the starting values of KernelWarehouse layers; checkpoints do."""

import copy

import pytest
import torch
from mmdet.models import SwinTransformer
from mmengine.hub import get_config
from mmengine.model import BaseModule, initialize
from mmengine.model.weight_init import BaseInit
from mmengine.registry import MODELS, WEIGHT_INITIALIZERS, DefaultScope
from torch import nn

import mmkw
from mmkw.layers import KWAttention, KWConv2d, KWConvNd, KWLinear, Warehouses
from mmkw.models import KWLinearClsHead, KWResNet


def kw_values(model):
    """Copies of all values that an init_cfg may not change."""
    own = {name: m for name, m in model.named_modules() if isinstance(m, (KWAttention, Warehouses))}
    assert own
    return {f'{name}.{key}': p.detach().clone() for name, m in own.items() for key, p in m.named_parameters()}


def assert_kept(model, before):
    torch.testing.assert_close(kw_values(model), before, rtol=0, atol=0)


def small_resnet(**kwargs):
    return KWResNet(18, base_channels=8, stem_channels=8, **kwargs)


class Neck(BaseModule):
    """Has one layer of each kind with a warehouse of its own, and plain layers."""

    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self.conv, self.linear = KWConv2d(4, 4, 3), KWLinear(4, 4, norm='LN')
        self.plain = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))


class Network(BaseModule):
    def __init__(self, backbone=None, neck=None, head=None, model=None):
        super().__init__(model)
        self.backbone = small_resnet(**({} if backbone is None else dict(init_cfg=backbone)))
        self.neck = Neck(neck)
        self.head = KWLinearClsHead(10, 40, init_cfg=head)
        self.head.plain = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
        # The basis form has the most parameters.
        self.basis = KWConv2d(32, 32, 3, budget=0.5, cell_inplane_ratio=0.5, nonlocal_basis_ratio=0.5)


@WEIGHT_INITIALIZERS.register_module()
class OfAUser(BaseInit):
    def __call__(self, module):
        module.apply(lambda m: [nn.init.constant_(p, 3) for p in m.parameters(recurse=False)])


INITIALISERS = {
    'layers': [dict(type='TruncNormal', layer=['Conv2d', 'Linear'], std=0.02)],
    'norms': [dict(type='Constant', layer=['_BatchNorm', 'LayerNorm'], val=0.5, bias=0.5)],
    "a user's own": [dict(type='OfAUser')],
}


@pytest.mark.parametrize('part', ['model', 'backbone', 'neck', 'head'])
@pytest.mark.parametrize('init_cfg', INITIALISERS.values(), ids=INITIALISERS)
def test_no_init_cfg_touches_attentions_and_cells(part, init_cfg):
    model = Network(**{part: init_cfg})
    before, untouched = kw_values(model), copy.deepcopy(model)
    model.init_weights()
    assert_kept(model, before)
    assert any(not p.equal(q) for p, q in zip(model.parameters(), untouched.parameters()))


@pytest.mark.parametrize('name', ['backbone', 'neck', 'head', 'basis'])
def test_an_override_of_a_whole_part_does_not_either(name):
    override = dict(type='Constant', name=name, val=3, bias=0.25)
    model = Network(model=dict(type='Normal', layer='Conv1d', override=override))
    before = kw_values(model)
    model.init_weights()
    assert_kept(model, before)


def test_nor_does_an_initialiser_that_is_called_directly():
    model = Network()
    before = kw_values(model)
    initialize(model, INITIALISERS['layers'])
    assert_kept(model, before)
    assert model.neck.plain[0].weight.std() < 0.05


def test_stock_convnext_with_its_backbone_swapped():
    cfg = get_config('mmpretrain::convnext/convnext-tiny_32xb128_in1k.py')
    cfg.model.backbone.type = 'KWConvNeXt'
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg.model)
    before = kw_values(model)
    model.init_weights()
    assert_kept(model, before)
    layers = [m for m in model.modules() if isinstance(m, KWConvNd)]
    for layer in layers:
        fc2 = layer.attention.fc2.weight
        assert fc2.std().item() == pytest.approx((2 / len(fc2)) ** 0.5, rel=0.1)
        assert not layer.bias.any()
    assert len(layers) == 58
    assert model.head.fc.weight.std().item() == pytest.approx(0.02, rel=0.01)


BIASES = {
    'as Conv2d': (dict(layer='Conv2d'), 'conv'),
    'as _ConvNd': (dict(layer='_ConvNd'), 'conv'),
    'as Linear': (dict(layer='Linear'), 'linear'),
    'by its own name': (dict(layer='KWLinear'), 'linear'),
    'by override': (dict(layer='Conv1d', override=dict(type='Constant', val=1, bias=0.25, name='conv')), 'conv'),
}


@pytest.mark.parametrize('init_cfg, name', BIASES.values(), ids=BIASES)
def test_a_bias_starts_as_that_of_the_plain_layer(init_cfg, name):
    neck = Neck(dict(type='Constant', val=1, bias=0.25, **init_cfg))
    neck.init_weights()
    changed = {key for key in ('conv', 'linear') if (getattr(neck, key).bias == 0.25).all()}
    assert changed == {name}


class ByHand(BaseModule):
    """A backbone that initialises its layers in its own loops, as transformers do."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(16, 16, 3) for _ in range(3))

    def init_weights(self):
        super().init_weights()
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.constant_(module.weight, 3)


BY_HAND = {
    'all parameters': dict(type=ByHand),
    'VisionTransformer': dict(
        type='mmpretrain.VisionTransformer',
        arch=dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64),
    ),
    'SwinTransformer of mmdet': dict(
        type=SwinTransformer, embed_dims=32, depths=(2, 2, 2, 2), num_heads=(1, 2, 4, 8), window_size=2
    ),
}


@pytest.mark.parametrize('plain', BY_HAND.values(), ids=BY_HAND)
def test_backbones_that_initialise_by_hand(plain):
    backbone = MODELS.build(dict(type='KWBackbone', backbone=plain))
    before = kw_values(backbone)
    backbone.init_weights()
    assert_kept(backbone, before)


ENTRIES = {
    'alone': [],
    'beside what is random': [dict(type='Kaiming', layer='Conv2d'), dict(type='Constant', layer='_BatchNorm', val=1)],
}


def checkpoint(of, folder):
    """An initialiser that makes every value 0.5."""
    half = {key: torch.full_like(value, 0.5) for key, value in of.state_dict().items()}
    torch.save(dict(state_dict=half), folder / 'half.pth')
    return dict(type='Pretrained', checkpoint=str(folder / 'half.pth'))


@pytest.mark.parametrize('random', ENTRIES.values(), ids=ENTRIES)
def test_a_checkpoint_fills_everything(tmp_path, random):
    pretrained = checkpoint(small_resnet(), tmp_path)
    backbone = small_resnet(init_cfg=[*random, pretrained], zero_init_residual=True)
    backbone.init_weights()
    assert all((p == 0.5).all() for p in backbone.parameters())


@pytest.mark.parametrize('cfg', [dict(type='KWResNet', depth=18), dict(type='KWBackbone', backbone=dict(type=ByHand))])
def test_a_second_call_keeps_what_was_trained(tmp_path, cfg):
    backbone = MODELS.build(dict(cfg, init_cfg=checkpoint(MODELS.build(dict(cfg)), tmp_path)))
    backbone.init_weights()
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(1)
    trained = kw_values(backbone)
    assert all((value == 1.5).all() for value in trained.values())
    backbone.init_weights()
    assert_kept(backbone, trained)


def test_other_functions_reach_the_attention():
    seen = []
    layer = mmkw.convert(nn.Sequential(nn.Conv2d(4, 4, 3)), {'a': mmkw.plans.WarehousePlan(['0'])})[0]
    assert layer.apply(seen.append) is layer
    assert seen == [*layer.attention.children(), layer.attention, layer]
