"""The plain backbones' switches keep working on KW backbones."""

import copy

import pytest
import torch
from mmdet.registry import MODELS as MMDET_MODELS
from mmengine.registry import MODELS, DefaultScope
from mmpretrain.registry import MODELS as MMPRETRAIN_MODELS
from torch import nn

import mmkw
from mmkw.layers import KWConvNd
from mmkw.models import KWConvNeXt, KWMobileNetV2, KWResNet, PlainResNet

SMALL = dict(base_channels=8, stem_channels=8)
TINY = dict(depths=[1, 1, 1, 1], channels=[8, 16, 24, 32])


def small_resnet(depth=18, **kwargs):
    torch.manual_seed(0)
    return KWResNet(depth, **SMALL, **kwargs)


def images(batch=2, size=64):
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize('scope', ['mmdet', 'mmpretrain', 'mmengine'])
@pytest.mark.parametrize('cfg', [dict(type='KWResNet', depth=18, **SMALL), dict(type='KWMobileNetV2')])
def test_resolves_from_every_scope(scope, cfg):
    registry = {'mmdet': MMDET_MODELS, 'mmpretrain': MMPRETRAIN_MODELS, 'mmengine': MODELS}[scope]
    with DefaultScope.overwrite_default_scope(scope):
        assert any(isinstance(layer, KWConvNd) for layer in registry.build(dict(cfg)).modules())


@pytest.mark.parametrize('depth', [18, 34, 50, 101, 152])
def test_depths_give_the_plain_shapes(depth):
    kwargs = dict(out_indices=(0, 1, 2, 3), **SMALL)
    x = images()
    shapes = [out.shape for out in KWResNet(depth, **kwargs)(x)]
    assert shapes == [out.shape for out in PlainResNet(depth, **kwargs)(x)]


@pytest.mark.parametrize('depth', [18, 50])
@pytest.mark.parametrize('budget, cells_a_mixture', [('1/4x', 1 / 4), (0.5, 1 / 2), ('1x', 1), ('2x', 2), (4, 4)])
def test_budget_is_cells_over_mixtures(depth, budget, cells_a_mixture):
    backbone = small_resnet(depth, budget=budget)
    mixtures = {}
    for layer in backbone.modules():
        if isinstance(layer, KWConvNd):
            mixtures[layer.warehouse_name] = mixtures.get(layer.warehouse_name, 0) + layer.mixtures
    for name, total in mixtures.items():
        assert len(backbone.warehouses[name]) == cells_a_mixture * total


def test_basis_form_saves_parameters_below_budget_1_for_bottlenecks():
    def count(**kwargs):
        return sum(p.numel() for p in KWResNet(50, '1/2x', **kwargs).parameters())

    assert count() < count(nonlocal_basis_ratio=1.0)


def test_out_indices():
    assert [len(out[0]) for out in small_resnet(out_indices=(1, 3))(images())] == [16, 64]


def test_frozen_stages_freeze_attentions_and_norms_but_no_shared_warehouse():
    backbone = small_resnet(frozen_stages=1).train()
    frozen = {name for name, p in backbone.named_parameters() if not p.requires_grad}
    first = {name for name, _ in backbone.named_parameters() if name.startswith(('conv1', 'bn1', 'layer1'))}
    assert frozen == first


def test_frozen_stages_freeze_a_warehouse_that_only_they_use():
    backbone = small_resnet(frozen_stages=3)
    trainable = {name for name, p in backbone.named_parameters() if p.requires_grad and 'warehouses' in name}
    assert trainable == {'warehouses.stage2', 'warehouses.stage3'}


def test_norm_eval_holds_the_attentions_norm_too():
    backbone = small_resnet(norm_eval=True).train()
    before = copy.deepcopy(backbone.state_dict())
    backbone(images())
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())


def test_training_without_norm_eval_updates_the_attentions_norm():
    backbone = small_resnet().train()
    before = backbone.layer2[0].conv1.attention.norm1.running_mean.clone()
    backbone(images())
    assert not torch.equal(backbone.layer2[0].conv1.attention.norm1.running_mean, before)


def test_stochastic_depth_has_one_rate_in_every_block():
    backbone = small_resnet(drop_path_rate=0.1)
    rates = [block.drop_path.drop_prob for name in backbone.res_layers for block in getattr(backbone, name)]
    assert rates == [0.1] * 8


@pytest.mark.parametrize('build', [small_resnet, lambda **kwargs: KWMobileNetV2(**kwargs)])
def test_checkpointing_changes_neither_gradients_nor_statistics(build):
    torch.manual_seed(0)
    plain = build().train()
    checkpointed = build(with_cp=True).train()
    checkpointed.load_state_dict(plain.state_dict())
    x = images()
    for backbone in (plain, checkpointed):
        backbone(x)[-1].square().mean().backward()
    for (name, a), b in zip(plain.named_parameters(), checkpointed.parameters()):
        assert torch.equal(a.grad, b.grad), name
    for (key, a), b in zip(plain.state_dict().items(), checkpointed.state_dict().values()):
        assert torch.equal(a, b), key


def test_checkpointing_recomputes_activations():
    backbone = small_resnet(with_cp=True).train()
    calls = []
    backbone.layer2[0].conv2.register_forward_hook(lambda *_: calls.append(1))
    backbone(images())[-1].sum().backward()
    assert len(calls) == 2


def test_a_copied_checkpointed_backbone_uses_its_own_weights():
    backbone = small_resnet(with_cp=True).eval()
    copied = copy.deepcopy(backbone)
    for p in backbone.parameters():
        nn.init.zeros_(p)
    assert copied(images())[-1].abs().sum() > 0


def test_init_weights_starts_norms_at_one():
    backbone = small_resnet()
    backbone.init_weights()
    assert all((m.weight == 1).all() for m in backbone.modules() if isinstance(m, nn.BatchNorm2d))


def test_unknown_depth():
    with pytest.raises(ValueError, match=r'\[18, 34, 50, 101, 152\], got 51'):
        KWResNet(51)


@pytest.mark.parametrize('budget', ['fast', 0, -1, '0x', float('nan'), None])
def test_bad_budget(budget):
    with pytest.raises(ValueError, match='budget must be'):
        small_resnet(budget=budget)


def test_a_budget_that_leaves_cells_uncounted():
    with pytest.raises(ValueError, match=r"'stage0' has 84 cells but its layers take 56 at budget 1.5"):
        small_resnet(budget=1.5)


def test_temperature_one_is_the_network_of_the_start_cells():
    backbone = small_resnet().eval().double()
    mmkw.set_temperature(backbone, 1)
    conv = backbone.layer1[1].conv2
    cells = backbone.warehouses['stage0'][27:36]
    weight = cells.reshape(3, 3, 8, 8).permute(2, 3, 0, 1)
    x = torch.randn(2, 8, 7, 5).double()
    torch.testing.assert_close(conv(x), nn.functional.conv2d(x, weight, padding=1))


@pytest.mark.parametrize(
    'build, name', [(small_resnet, 'stage3'), (KWMobileNetV2, 'stage6_pointwise'), (KWConvNeXt, 'stage3_pointwise')]
)
def test_one_warehouse_by_hand(build, name):
    published, by_hand = (build(warehouse_cfg=cfg).warehouses for cfg in (None, {name: dict(budget='2x')}))
    sizes = {key: len(by_hand[key]) / len(cells) for key, cells in published.named_parameters()}
    assert sizes == {**dict.fromkeys(sizes, 1), name: 2}


@pytest.mark.parametrize('build', [KWMobileNetV2, KWConvNeXt, lambda budget: KWResNet(50, budget)])
def test_budgets_that_were_not_published(build):
    assert sum(p.numel() for p in build(budget='2x').parameters()) > sum(
        p.numel() for p in build(budget=1).parameters()
    )


SWITCHES = {
    'softmax': dict(attention='softmax'),
    'sigmoid': dict(attention='sigmoid'),
    'several cells a mixture': dict(start='several_to_one'),
    'all cells a mixture': dict(start='all_to_one'),
    'no start': dict(start='none'),
    'one warehouse per layer': dict(sharing='layer'),
    'no sharing': dict(sharing='none'),
    'no spatial partition': dict(spatial_partition=False, sharing='shape'),
    'no channel partition': dict(channel_partition=False, sharing='shape'),
    'ordinary dynamic convolution': dict(
        attention='softmax', sharing='layer', spatial_partition=False, channel_partition=False
    ),
}


def untrained(backbone):
    """Parameters without a finite gradient after a training pass between start and attention."""
    mmkw.set_temperature(backbone.train(), 0.5)
    backbone(images(size=32))[-1].square().mean().backward()
    return [name for name, p in backbone.named_parameters() if p.grad is None or not p.grad.isfinite().all()]


@pytest.mark.parametrize('switches', SWITCHES.values(), ids=SWITCHES)
def test_ablations_train(switches):
    assert untrained(small_resnet(budget='2x', **switches)) == []


@pytest.mark.parametrize(
    'build', [lambda **kwargs: KWMobileNetV2(widen_factor=0.25, **kwargs), lambda **kwargs: KWConvNeXt(TINY, **kwargs)]
)
def test_every_backbone_can_be_ordinary_dynamic_convolution(build):
    backbone = build(budget='2x', **SWITCHES['ordinary dynamic convolution'])
    assert {len(cells) for cells in backbone.warehouses.parameters()} == {2}
    assert untrained(backbone) == []


@pytest.mark.parametrize(
    'switch, value, of_layer',
    [
        ('attention', 'softmax', lambda layer: layer.attention_function),
        ('start', 'all_to_one', lambda layer: layer.start_strategy),
        ('sharing', 'none', lambda layer: 'none' if not layer.share_cells else 'shared'),
    ],
)
def test_a_switch_holds_for_all_warehouses_and_by_hand_for_one(switch, value, of_layer):
    def values(**kwargs):
        backbone = small_resnet(**kwargs)
        return {of_layer(layer) for layer in backbone.modules() if isinstance(layer, KWConvNd)}

    assert values(**{switch: value}) == {value}
    assert value in values(warehouse_cfg={'stage1': {switch: value}}) != {value}


def test_partition_switches_reach_every_warehouse():
    backbone = small_resnet(spatial_partition=False, channel_partition=False, sharing='layer')
    assert {len(cells) for cells in backbone.warehouses.parameters()} == {1}


def test_partition_off_needs_layers_of_one_shape():
    with pytest.raises(ValueError, match="'stage0': layers with different windows .*sharing='shape'"):
        small_resnet(spatial_partition=False)
