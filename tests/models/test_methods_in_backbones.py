"""A backbone's switches, and what is done to whole networks, work with every method of dynamic convolution in it."""

import copy
import io

import pytest
import torch
from mmengine.registry import MODELS
from torch import nn

from mmkw.conversion import fold, mean_attention, output_difference, warm_start
from mmkw.export import export_onnx
from mmkw.inspection import bank_table, model_info
from mmkw.layers import dynamic_layers, set_temperature

METHODS = {
    'ODConv': dict(type='ODConv', kernels=2),
    'DYConv': dict(type='DYConv', kernels=3, reduction=2),
    'CondConv': dict(type='CondConv', experts=3),
    'WeightNet': dict(type='WeightNet'),
    'CGC': dict(type='CGC'),
    'DCD': dict(type='DCD'),
    'SE': dict(type='SE', reduction=1),
    'CBAM': dict(type='CBAM', reduction=1),
    'ECA': dict(type='ECA'),
}
GATES = ('SE', 'CBAM', 'ECA')
# Two stages of two blocks, of which CondConv leaves the first plain.
SMALL = dict(
    type='PlainResNet',
    depth=18,
    num_stages=2,
    strides=(1, 2),
    dilations=(1, 1),
    out_indices=(1,),
    stem_channels=8,
    base_channels=8,
)


@pytest.fixture(params=METHODS)
def method(request):
    return METHODS[request.param]


def build(method, backbone=SMALL, **kwargs):
    torch.manual_seed(0)
    network = MODELS.build(dict(type='ConvertedBackbone', backbone={**backbone, **kwargs}, method=method))
    if method['type'] == 'DCD':
        settle(network)
    return network


def settle(network):
    """Give norms the statistics of a batch: those of a fresh DCD network let its outputs grow beyond float32."""
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    with torch.no_grad():
        network(images())
    for norm in norms:
        norm.momentum = 0.1
    network.train()


def plain_backbone():
    plain = MODELS.build(dict(SMALL)).double()
    plain.eval()  # which returns None in mmpretrain
    return plain


def images(batch=2, size=32, dtype=torch.float):
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(1)).to(dtype)


def step(backbone, x):
    backbone.zero_grad()
    out = backbone(x)[-1]
    out.square().mean().backward()
    return [out, *(p.grad for p in backbone.parameters() if p.grad is not None)]


def test_every_parameter_learns(method):
    backbone = build(method).train()
    step(backbone, images())
    for name, p in backbone.named_parameters():
        # The norm after this convolution of CBAM starts with weight 0.
        assert p.grad.isfinite().all() and (p.grad.any() or name.endswith('.gate.conv.weight')), name


def test_frozen_stages_freeze_all_of_their_layers_and_what_blocks_share(method):
    backbone = build(method, frozen_stages=1).train()
    frozen = {name for name, p in backbone.named_parameters() if not p.requires_grad}
    assert frozen == {name for name, _ in backbone.named_parameters() if name.startswith(('conv1', 'bn1', 'layer1'))}
    before = copy.deepcopy(backbone.layer1.state_dict())
    step(backbone, images())
    assert all(torch.equal(value, before[key]) for key, value in backbone.layer1.state_dict().items())


def test_a_frozen_stem_keeps_the_statistics_of_its_attention():
    backbone = build(METHODS['CGC'], frozen_stages=0).train()
    before = copy.deepcopy(backbone.conv1.state_dict())
    step(backbone, images())
    assert 'attention.norm_in.running_mean' in before
    assert all(torch.equal(value, before[key]) for key, value in backbone.conv1.state_dict().items())
    assert backbone.layer1[0].conv1.attention.norm_in.training


@pytest.mark.parametrize('zero', [False, True])
def test_a_backbones_initialisation_leaves_alone_what_is_not_plain(method, zero):
    backbone = build(method, zero_init_residual=zero)
    plain = {id(p) for layer in dynamic_layers(backbone).values() for p in layer.plain_values().values()}
    own = [p for layer in dynamic_layers(backbone).values() for p in layer.parameters() if id(p) not in plain]
    before = [p.detach().clone() for p in own]
    nn.init.constant_(backbone.layer1[0].bn2.weight, 5)
    backbone.init_weights()
    assert all(torch.equal(p, value) for p, value in zip(own, before))
    assert (backbone.layer1[0].bn2.weight == (0 if zero else 1)).all()


def test_norm_eval_holds_all_norms(method):
    backbone = build(method, norm_eval=True).train()
    before = copy.deepcopy(backbone.state_dict())
    backbone(images(1))
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())


def test_a_single_image_trains_unless_a_layer_says_that_it_needs_two(method):
    backbone = build(method).train()
    if any(layer.needs_two_samples for layer in dynamic_layers(backbone).values()):
        with pytest.raises(ValueError, match='cannot train on a batch of 1.*drop_last=True.*norm_eval'):
            backbone(images(1))
    else:
        backbone(images(1))


def test_checkpointing_changes_neither_gradients_nor_statistics(method):
    plain, checkpointed = (build(method, with_cp=with_cp).double().train() for with_cp in (False, True))
    for found, expected in zip(*(step(backbone, images(dtype=torch.double)) for backbone in (checkpointed, plain))):
        torch.testing.assert_close(found, expected)
    for key, value in checkpointed.state_dict().items():
        torch.testing.assert_close(value, plain.state_dict()[key])


def test_copies_and_pickles_after_a_pass(method):
    backbone = build(method).train()
    step(backbone, images())
    backbone.eval()
    buffer = io.BytesIO()
    torch.save(backbone, buffer)
    buffer.seek(0)
    for twin in (copy.deepcopy(backbone), torch.load(buffer, weights_only=False)):
        assert torch.equal(twin(images())[0], backbone(images())[0])


def test_autocast_trains_close_to_float32(method):
    backbone = build(method).eval()
    exact = backbone(images())[-1]
    with torch.autocast('cpu', torch.bfloat16):
        out = backbone(images())[-1]
    # DCD sums three terms, each rounded, where others have one.
    assert (out.float() - exact).norm() < (0.1 if method['type'] == 'DCD' else 0.05) * exact.norm()
    out.float().square().mean().backward()
    assert all(p.grad.dtype == torch.float and p.grad.isfinite().all() for p in backbone.parameters())


def test_channels_last(method):
    backbone = build(method).eval()
    exact = step(backbone, images())
    backbone.to(memory_format=torch.channels_last)
    for found, expected in zip(step(backbone, images().to(memory_format=torch.channels_last)), exact):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_compiles_without_graph_breaks(method):
    torch.compiler.reset()  # torch remembers what it compiled of other methods, and has had enough of it in the end
    backbone = build(method).eval()
    expected = step(backbone, images())
    compiled = torch.compile(backbone, backend='aot_eager', fullgraph=True)
    backbone.zero_grad()
    out = compiled(images())[-1]
    out.square().mean().backward()
    for found, exact in zip([out, *(p.grad for p in backbone.parameters())], expected):
        torch.testing.assert_close(found, exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('batch', [2, None])
def test_onnx(method, batch, tmp_path):
    _, relative = export_onnx(build(method), tmp_path / 'out.onnx', (32, 32), batch)
    assert relative < 1e-4


@pytest.mark.parametrize('name', [name for name in METHODS if name != 'CBAM'])
def test_folds_at_mean_attention(name):
    backbone = build(METHODS[name]).double().eval()
    x = images(1, dtype=torch.double)
    folded = fold(backbone, mean_attention(backbone, [x]))
    assert output_difference(backbone, folded, [x], lambda network, batch: network(batch)) < 1e-10
    plain, state = plain_backbone(), folded.state_dict()
    biases = set(state) - set(plain.state_dict())
    assert bool(biases) == (name == 'DCD') and all(key.endswith('.bias') for key in biases)
    plain.load_state_dict({key: value for key, value in state.items() if key not in biases})  # strict


def test_cbam_does_not_fold():
    backbone = build(METHODS['CBAM'])
    with pytest.raises(ValueError, match="'layer1.0.bn2' cannot be folded: CBAM scales every position"):
        mean_attention(backbone, [images()])


@pytest.mark.parametrize('name', ['ODConv', 'DYConv', 'WeightNet', 'CGC', 'DCD', *GATES])
def test_a_warm_start_is_exact(name):
    plain, backbone = plain_backbone(), build(METHODS[name]).double().eval()
    assert set(warm_start(backbone, plain.state_dict()).values()) == {0.0}
    x = images(dtype=torch.double)
    torch.testing.assert_close(backbone(x), plain(x))
    backbone.train()
    step(backbone, x)
    attention = [
        p for key, p in backbone.named_parameters() if 'attention.' in key or '.fc1.' in key or '.gate.' in key
    ]
    assert any(p.grad.any() for p in attention)


def test_multiply_adds_of_the_convolutions_are_the_plain_networks(method):
    plain, backbone = plain_backbone(), build(method).double().eval()
    x = images(1, dtype=torch.double)
    info = model_info(backbone, backbone, x)
    assert info.convolution == model_info(plain, plain, x).convolution
    assert info.attention > 0
    banks = {name: layer.bank for name, layer in dynamic_layers(backbone).items() if layer.bank is not None}
    assert info.assembly >= sum(bank.numel() for bank in banks.values())
    assert (info.assembly == 0) == (method['type'] in GATES)
    rows = bank_table(backbone)
    assert [row.name for row in rows] == [f'{name}.kernels' for name in banks]
    assert {row.budget for row in rows} <= {method.get('kernels', method.get('experts', 1))}


@pytest.mark.parametrize('name', ['ODConv', 'DYConv'])
def test_the_temperature_is_part_of_the_state_and_a_state_may_lack_it(name):
    backbone = build(METHODS[name])
    assert {float(layer.temperature) for layer in dynamic_layers(backbone).values()} == {1.0}
    set_temperature(backbone, 30)
    state = backbone.state_dict()
    assert state['layer1.0.conv1.tau'] == 30
    other = build(METHODS[name])
    other.load_state_dict(state)
    assert other.layer1[0].conv1.tau == 30
    other.load_state_dict({key: value for key, value in state.items() if not key.endswith('.tau')})
    assert other.layer1[0].conv1.tau == 30
    with pytest.raises(ValueError, match='temperature of the .* must be at least 1, got 0.5'):
        set_temperature(backbone, 0.5)


@pytest.mark.parametrize('name', ['ODConv', 'DYConv'])
@pytest.mark.parametrize(
    'backbone',
    [
        dict(type='mmpretrain.VGG', depth=11, norm_cfg=dict(type='BN')),
        dict(type='mmpretrain.MobileNetV3'),
    ],
    ids=['VGG', 'MobileNetV3'],
)
def test_backbones_without_a_rule_of_their_own(name, backbone, messages):
    model = build(METHODS[name], backbone)
    plain = {key for key, module in model.named_modules() if type(module) in (nn.Conv2d, nn.Linear)}
    assert plain and all(f'plain: {key} (' in '\n'.join(messages) for key in plain if 'attention' not in key)
    model.train()
    step(model, images(size=64))
    assert all(p.grad is not None for layer in dynamic_layers(model).values() for p in layer.parameters())


@pytest.mark.parametrize('name', ['CondConv', 'WeightNet'])
def test_blocks_by_hand_in_a_backbone_without_known_ones(name):
    blocks = {f'layer{i}': ['expand_conv.conv', 'depthwise_conv.conv', 'linear_conv.conv'] for i in (10, 11)}
    model = build(dict(type=name, blocks=blocks), dict(type='mmpretrain.MobileNetV3')).train()
    assert list(dynamic_layers(model)) == [f'{block}.{layer}' for block, layers in blocks.items() for layer in layers]
    step(model, images(size=64))
    assert all(p.grad is not None for block in blocks for p in model.get_submodule(block).parameters())


@pytest.mark.parametrize('name', METHODS)
def test_a_backbone_that_a_method_has_no_place_in_is_named(name):
    vit = dict(type='mmpretrain.VisionTransformer', arch='deit-tiny', img_size=32)
    with pytest.raises(ValueError, match='ConvertedVisionTransformer'):
        build(METHODS[name], vit)
