"""Rules by parameter name: a warehouse has the learning rate and decay of its deepest layer."""

import pytest
from mmdet.engine.optimizers import LearningRateDecayOptimizerConstructor
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope
from torch import nn

import mmkw
from mmkw.inspection import bank_table
from mmkw.layers import KWConv2d
from mmkw.models import KWMobileNetV2
from mmkw.plans import WarehousePlan

RESNET = dict(type='KWResNet', depth=50, base_channels=8, stem_channels=8)
CONVNEXT_ARCH = dict(depths=[1, 1, 9, 1], channels=[8, 16, 32, 64])
CONVNEXT = dict(type='KWConvNeXt', arch=CONVNEXT_ARCH)
VIT_ARCH = dict(embed_dims=32, num_layers=3, num_heads=2, feedforward_channels=64)
VIT = dict(type='mmpretrain.VisionTransformer', arch=VIT_ARCH, img_size=32, patch_size=8)
BACKBONES = {
    'KWResNet': RESNET,
    'KWConvNeXt': CONVNEXT,
    'ViT': dict(type='KWBackbone', backbone=VIT, plan='vit'),
    'ViT, automatic plan': dict(type='KWBackbone', backbone=VIT),
    'ConvNeXt': dict(type='KWBackbone', backbone=dict(type='mmpretrain.ConvNeXt', arch=CONVNEXT_ARCH)),
    'ResNet': dict(type='KWBackbone', backbone={**RESNET, 'type': 'mmpretrain.ResNet'}, plan_cfg=dict(min_width=1)),
}


def classifier(backbone):
    head = dict(type='KWLinearClsHead', num_classes=10, in_channels=40)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(dict(type='ImageClassifier', backbone=dict(backbone), head=head))


def detector(backbone):
    return nn.ModuleDict(dict(backbone=MODELS.build(dict(backbone)), neck=nn.Linear(2, 2)))


def groups(model, scope='mmpretrain', **cfg):
    """Parameter name -> its group, in an optimizer with learning rate and decay 1."""
    optimizer = dict(type='AdamW', lr=1.0, weight_decay=1.0)
    with DefaultScope.overwrite_default_scope(scope):
        built = build_optim_wrapper(model, dict(type='OptimWrapper', optimizer=optimizer, **cfg)).optimizer
    of = {id(p): group for group in built.param_groups for p in group['params']}
    return {name: of[id(p)] for name, p in getattr(model, 'module', model).named_parameters() if p.requires_grad}


def rates(model, **cfg):
    return {name: group['lr'] for name, group in groups(model, **cfg).items()}


def by_depth(model, decay=0.5, **paramwise):
    paramwise = dict(layer_decay_rate=decay, **paramwise)
    return groups(model, constructor='LearningRateDecayOptimWrapperConstructor', paramwise_cfg=paramwise)


def assert_at_the_deepest_layer(model, rate):
    table = bank_table(model)
    for row in table:
        # Attentions have always had the rate of their layer.
        of_layers = {layer: rate[f'{layer}.attention.fc1.weight'] for layer in row.layers}
        assert rate[row.name] == of_layers[row.layers[-1]] == max(of_layers.values()), row.name
    assert len({rate[row.name] for row in table}) > 1


@pytest.mark.parametrize('backbone', BACKBONES.values(), ids=BACKBONES)
def test_layer_decay_of_mmpretrain(backbone):
    model = classifier(backbone)
    assert_at_the_deepest_layer(model, {name: group['lr'] for name, group in by_depth(model).items()})


def test_rates_of_resnet50():
    found = by_depth(classifier(RESNET))
    stages = [found[f'backbone.warehouses.stage{stage}']['lr'] for stage in range(4)]
    assert stages == [0.5**5, 0.5**3, 0.5, 0.5]
    assert found['head.warehouses.classifier']['lr'] == 1


@pytest.mark.parametrize('decay_type', ['layer_wise', 'stage_wise'])
@pytest.mark.parametrize('as_class', [False, True])
@pytest.mark.parametrize('name', ['KWConvNeXt', 'ConvNeXt'])
def test_layer_decay_of_mmdet(name, as_class, decay_type):
    model = detector(BACKBONES[name])
    constructor = LearningRateDecayOptimizerConstructor if as_class else 'LearningRateDecayOptimizerConstructor'
    paramwise = dict(decay_rate=0.5, decay_type=decay_type, num_layers=6)
    found = rates(model, scope='mmdet', constructor=constructor, paramwise_cfg=paramwise)
    assert_at_the_deepest_layer(model, found)


def test_names_of_warehouses_take_them_out_of_mmdets_layer_decay():
    paramwise = dict(decay_rate=0.5, num_layers=6, custom_keys=dict(warehouses=dict(lr_mult=1.0)))
    constructor = 'LearningRateDecayOptimizerConstructor'
    found = rates(detector(CONVNEXT), scope='mmdet', constructor=constructor, paramwise_cfg=paramwise)
    assert {rate for name, rate in found.items() if '.warehouses.' in name} == {1.0}
    assert found['backbone.stages.3.0.pointwise_conv2.bias'] == 0.5


STAGE_RULES = {
    'a stage': ({'backbone.layer4': 0.1}, [1, 1, 0.1, 0.1]),
    'two stages': ({'backbone.layer4': 0.1, 'layer2': 0.2}, [0.2, 1, 0.1, 0.1]),
    'the weight of a layer': ({'layer3.0.downsample.0.weight': 0.1}, [1, 0.1, 1, 1]),
    'the backbone': ({'backbone': 0.1}, [0.1, 0.1, 0.1, 0.1]),
    'warehouses, beside a longer name of a stage': ({'warehouses': 0.5, 'backbone.layer4': 0.1}, [0.5, 0.5, 0.5, 0.5]),
    'one warehouse': ({'backbone.warehouses.stage3': 0.5, 'layer4': 0.1}, [1, 1, 0.1, 0.5]),
    'one warehouse without its owner': ({'stage2': 0.5}, [1, 1, 0.5, 1]),
}


@pytest.mark.parametrize('keys, expected', STAGE_RULES.values(), ids=STAGE_RULES)
@pytest.mark.parametrize('wrap', [lambda model: model, nn.DataParallel], ids=['bare', 'wrapped'])
def test_custom_keys(wrap, keys, expected):
    custom_keys = {key: dict(lr_mult=value) for key, value in keys.items()}
    found = rates(wrap(classifier(RESNET)), paramwise_cfg=dict(custom_keys=custom_keys))
    assert [found[f'backbone.warehouses.stage{stage}'] for stage in range(4)] == expected


def test_a_rule_within_a_rule_is_refused():
    cfg = Config(dict(paramwise_cfg=dict(custom_keys={})))
    cfg.merge_from_dict({'paramwise_cfg.custom_keys.attention.fc2.lr_mult': 0.1})
    with pytest.raises(ValueError, match=r"'fc2' is no option of a parameter.*\{'attention.fc2': dict\(\.\.\.\)\}"):
        rates(classifier(RESNET), **cfg)


SLOW = dict(attention=dict(lr_mult=0.01))
SLOW_LOGITS = {'attention.fc2': dict(lr_mult=0.0001)}


@pytest.mark.parametrize(
    'attention_init, optimizer, rules, advice',
    [
        ('start', 'AdamW', None, SLOW),
        ('start', 'AdamW', dict(attention=dict(lr_mult=0.1)), SLOW),
        ('start', 'SGD', None, SLOW_LOGITS),
        ('start', 'AdamW', SLOW, None),
        ('start', 'SGD', SLOW_LOGITS, None),
        ('random', 'SGD', None, None),
    ],
)
@pytest.mark.parametrize('ratio', [1, 0.5], ids=['plain form', 'basis form'])
def test_a_start_that_fast_attentions_lose_is_warned_of(messages, attention_init, optimizer, rules, advice, ratio):
    layer = KWConv2d(8, 8, 3, attention_init=attention_init, nonlocal_basis_ratio=ratio)
    if layer.attention.has_basis and optimizer == 'SGD':
        rules, advice = ({**of, 'basis_bias': dict(lr_mult=0.0001)} if of else None for of in (rules, advice))
    cfg = dict(type='OptimWrapper', optimizer=dict(type=optimizer, lr=1.0))
    build_optim_wrapper(nn.ModuleDict(dict(layer=layer)), {**cfg, 'paramwise_cfg': dict(custom_keys=rules or {})})
    found = [message for message in messages if "attention_init='start'" in message]
    assert len(found) == bool(advice)
    if advice:
        named = ', '.join(f"'{key}': dict(lr_mult={rule['lr_mult']})" for key, rule in advice.items())
        assert '1 layers, the first is layer, begin' in found[0] and f'custom_keys={{{named}}}' in found[0]


def test_custom_keys_in_a_backbone_of_mmdet():
    plain = dict(type='mmdet.ResNet', depth=18, base_channels=16, stem_channels=16)
    model = detector(dict(type='KWBackbone', backbone=plain))
    found = rates(model, paramwise_cfg=dict(custom_keys={'layer3': dict(lr_mult=0.1)}))
    expected = {row.name: 0.1 if 'layer3' in row.layers[-1] else 1.0 for row in bank_table(model)}
    assert {name: found[name] for name in expected} == expected
    assert set(expected.values()) == {0.1, 1.0}


def test_decay_by_the_warehouses_name_leaves_the_rate_by_depth():
    model = classifier(RESNET)
    found = by_depth(model, custom_keys=dict(warehouses=dict(decay_mult=0.0)))
    assert {name for name, group in found.items() if group['weight_decay'] == 0} == {
        row.name for row in bank_table(model)
    }
    assert_at_the_deepest_layer(model, {name: group['lr'] for name, group in found.items()})


def test_decay_by_the_name_of_a_stage():
    found = by_depth(classifier(RESNET), custom_keys={'backbone.layer4': dict(decay_mult=0.0)})
    decay = [found[f'backbone.warehouses.stage{stage}']['weight_decay'] for stage in range(4)]
    assert decay == [1, 1, 0, 0]


def test_a_key_for_a_part_of_the_network_is_no_name_of_a_warehouse():
    network = nn.ModuleDict({name: nn.Conv2d(4, 4, 1) for name in ('stage3', 'last')})
    mmkw.convert(network, {'other': WarehousePlan(['stage3']), 'stage3': WarehousePlan(['last'])})
    found = rates(network, paramwise_cfg=dict(custom_keys={'stage3': dict(lr_mult=0.1)}))
    assert (found['warehouses.other'], found['warehouses.stage3']) == (0.1, 1)


def frozen_resnet():
    return classifier({**RESNET, 'frozen_stages': 3})


def test_frozen_warehouses_stay_out():
    found = rates(frozen_resnet(), paramwise_cfg=dict(custom_keys={'layer4': dict(lr_mult=0.1)}))
    trained = {name: rate for name, rate in found.items() if 'backbone.warehouses' in name}
    assert trained == {'backbone.warehouses.stage2': 0.1, 'backbone.warehouses.stage3': 0.1}


@pytest.mark.parametrize(
    'cfg',
    [
        dict(paramwise_cfg=dict(custom_keys={'layer4': dict(lr_mult=0.1)})),
        dict(paramwise_cfg=dict(custom_keys={'warehouses.stage1': dict(lr_mult=0.1)})),
        dict(
            constructor='mmpretrain.LearningRateDecayOptimWrapperConstructor',
            paramwise_cfg=dict(layer_decay_rate=0.5),
        ),
        dict(),
    ],
)
def test_the_order_is_the_models_by_which_a_resumed_optimizer_finds_its_state(cfg):
    model = classifier(RESNET)
    cfg = dict(optimizer=dict(type='SGD', lr=1.0, weight_decay=1.0), **cfg)
    optimizer = build_optim_wrapper(model, cfg).optimizer
    found = [id(p) for group in optimizer.param_groups for p in group['params']]
    assert found == [id(p) for p in model.parameters()]


def test_the_model_stays_as_it_is():
    model = classifier(RESNET)
    before = [*model.named_modules()], [*model.named_parameters()]
    cfg = dict(paramwise_cfg=dict(custom_keys={'layer4': dict(lr_mult=0.1)}))
    build_optim_wrapper(model, dict(optimizer=dict(type='SGD', lr=1.0), **cfg))
    with pytest.raises(TypeError):
        build_optim_wrapper(model, dict(optimizer=dict(type='SGD', lr=1.0, unknown=1), **cfg))
    assert ([*model.named_modules()], [*model.named_parameters()]) == before


def test_the_log_says_what_each_warehouse_got(messages):
    keys = {'layer4': dict(lr_mult=0.25, decay_mult=0.5), 'warehouses.stage2': dict(lr_mult=0.125)}
    model = frozen_resnet()
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    rates(model, paramwise_cfg=dict(custom_keys=keys))
    (text,) = [message for message in messages if 'gave to what layers share' in message]
    stage2, stage3 = (names.index(f'backbone.warehouses.stage{stage}') for stage in (2, 3))
    assert text.splitlines()[1:] == [
        '  backbone.warehouses.stage0: frozen',
        '  backbone.warehouses.stage1: frozen',
        f'  backbone.warehouses.stage2: parameter group {stage2}, learning rate 0.125, weight decay 1, by its own name',
        f'  backbone.warehouses.stage3: parameter group {stage3}, learning rate 0.25, weight decay 0.5, as its deepest '
        'layer backbone.layer4.2.conv3',
        f'  head.warehouses.classifier: parameter group {len(names) - 1}, learning rate 1, weight decay 1, as its '
        'deepest layer head.fc',
    ]


def test_a_layer_with_a_warehouse_of_its_own():
    model = nn.Sequential(mmkw.layers.KWConv2d(4, 4, 1), mmkw.layers.KWConv2d(4, 4, 1))
    assert rates(model, paramwise_cfg=dict(custom_keys={'1.': dict(lr_mult=0.1)}))['1.warehouses.cells'] == 0.1
    layer = rates(model[0], paramwise_cfg=dict(custom_keys=dict(warehouses=dict(lr_mult=0.1))))
    assert {name for name, rate in layer.items() if rate == pytest.approx(0.1)} == {'warehouses.cells'}


def test_backbones_without_layer_depth_have_none():
    assert not hasattr(KWMobileNetV2(widen_factor=0.25), 'get_layer_depth')
