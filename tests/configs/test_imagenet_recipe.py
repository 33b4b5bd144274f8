"""The ImageNet recipes are the published ones: rates, temperatures, decay, stochastic depth and loss are compared."""

import math
from types import SimpleNamespace

import pytest
import torch
from imagenet_configs import ADVANCED, MOBILENETS, NAMES, TRADITIONAL, build, config, plain_backbone
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.registry import HOOKS, MODELS
from mmengine.runner import Runner
from torch import nn

from mmkw.engine.schedule import trace_schedule

FOUR_KERNELS = [f'{method}_{width}' for method in ('dyconv4x', 'odconv4x') for width in ('mbv2', 'mbv2_w050')]
SMOOTHED = {'kw1x_mbv2', 'kw4x_mbv2', 'kw4x_mbv2_w050', *FOUR_KERNELS, *ADVANCED}
# Epochs until the temperature has reached its end.
TEMPERATURE_EPOCHS = {
    **{name: 15 if name in MOBILENETS else 20 for name in NAMES if name.startswith('kw')},
    **{name: 10 for name in NAMES if name.startswith(('dyconv', 'odconv'))},
    **{name: 10 for name in TRADITIONAL if name.startswith('kw')},
}


def _ends(name):
    """Between what the temperature falls: that of KernelWarehouse, or of ODConv and DY-Conv."""
    return (1, 0) if name.startswith('kw') else (30, 1)


@pytest.fixture(scope='module')
def traces():
    """The schedule of every recipe, with epochs of 3 iterations; equal settings for one temperature are run once."""
    once, found = {}, {}
    for name in NAMES:
        cfg = config(name)
        hooks = [hook for hook in cfg.custom_hooks if hook.type != 'EMAHook']
        said = repr(
            (_ends(name), cfg.train_cfg, cfg.param_scheduler, cfg.default_hooks, hooks, cfg.optim_wrapper.optimizer)
        )
        found[name] = once[said] = once.get(said) or trace_schedule(cfg, 3)
    assert len(once) == 9
    return found


@pytest.mark.parametrize('name', ADVANCED)
def test_warm_up_then_cosine_over_300_epochs(traces, name):
    rates = traces[name].learning_rates
    warm_up, rest = 20 * 3, 280 * 3
    assert len(rates) == warm_up + rest
    assert rates[0] == pytest.approx(0, abs=1e-12)
    for t in (1, 30, warm_up - 1):
        assert rates[t] == pytest.approx(4e-3 * t / (warm_up - 1))
    for t in (0, 1, 400, rest - 1):
        expected = 1e-6 + (4e-3 - 1e-6) * (1 + math.cos(math.pi * t / rest)) / 2
        assert rates[warm_up + t] == pytest.approx(expected)


@pytest.mark.parametrize('name', MOBILENETS)
def test_cosine_over_150_epochs(traces, name):
    rates = traces[name].learning_rates
    assert len(rates) == 150 * 3
    for t in (0, 1, 200, 449):
        assert rates[t] == pytest.approx(1e-6 + (0.05 - 1e-6) * (1 + math.cos(math.pi * t / 450)) / 2)


@pytest.mark.parametrize('name', TRADITIONAL)
def test_steps_at_30_60_and_90_of_100_epochs(traces, name):
    rates = traces[name].learning_rates
    assert rates == pytest.approx([0.1] * 90 + [0.01] * 90 + [0.001] * 90 + [0.0001] * 30)


@pytest.mark.parametrize('name, epochs', TEMPERATURE_EPOCHS.items())
def test_temperature(traces, name, epochs):
    length = epochs * 3
    taus = traces[name].temperatures
    start, end = _ends(name)
    parts = [1 - 1 / length, 1 - 11 / length, 1 / length, 0, 0, 0]
    assert [taus[t] for t in (0, 10, length - 2, length - 1, length, -1)] == pytest.approx(
        [end + (start - end) * part for part in parts]
    )


@pytest.mark.parametrize('name', sorted(set(NAMES) - set(TEMPERATURE_EPOCHS)))
def test_other_networks_have_no_temperature(traces, name):
    assert traces[name].temperatures == []


def scaled_rate(cfg, gpus):
    """Learning rate on a number of GPUs with --auto-scale-lr."""
    optim_wrapper = build_optim_wrapper(nn.Linear(1, 1), cfg.optim_wrapper)
    runner = SimpleNamespace(_train_dataloader=cfg.train_dataloader, world_size=gpus, param_schedulers=None)
    runner.logger = MMLogger.get_current_instance()
    Runner.scale_lr(runner, optim_wrapper, dict(cfg.auto_scale_lr, enable=True))
    return optim_wrapper.get_lr()['lr'][0]


@pytest.mark.parametrize('name', NAMES)
def test_batch_that_the_rate_is_for(name):
    cfg = config(name)
    step = 8 * cfg.train_dataloader.batch_size * cfg.optim_wrapper.get('accumulative_counts', 1)
    rate = cfg.optim_wrapper.optimizer.lr
    expected = (256, 0.05) if name in MOBILENETS else (256, 0.1) if name in TRADITIONAL else (4096, 4e-3)
    assert (step, rate) == expected
    assert [scaled_rate(cfg, gpus) for gpus in (8, 4, 64)] == pytest.approx([rate, rate / 2, rate * 8])


@pytest.mark.parametrize('name', NAMES)
def test_optimizer(name):
    optimizer = build_optim_wrapper(nn.Linear(1, 1), config(name).optim_wrapper).optimizer
    if name in ADVANCED:
        assert type(optimizer) is torch.optim.AdamW
        assert optimizer.defaults['betas'] == (0.9, 0.999)
    else:
        assert type(optimizer) is torch.optim.SGD
        assert (optimizer.defaults['momentum'], optimizer.defaults['nesterov']) == (0.9, name in MOBILENETS)


@pytest.mark.parametrize(
    'name, decay, decayed, undecayed',
    [
        ('r18', 0.05, ['conv1.weight', 'layer1.0.conv1.weight'], ['bn1.weight', 'layer1.0.bn1.bias']),
        (
            'kw1d2_r50',
            0.05,
            ['warehouses.stage0', 'layer1.0.conv2.attention.fc1.weight', 'layer1.0.conv2.attention.fc3.weight'],
            ['layer1.0.conv2.attention.basis_bias', 'layer1.0.conv2.attention.norm1.weight'],
        ),
        (
            'kw1x_convnext_t',
            0.05,
            ['warehouses.stem', 'warehouses.stage0_depthwise', 'stages.0.0.depthwise_conv.attention.fc2.weight'],
            ['stages.0.0.gamma', 'stages.0.0.norm.weight', 'stages.0.0.depthwise_conv.attention.fc2.bias']
            + ['stages.0.0.depthwise_conv.bias', 'stages.0.0.depthwise_conv.attention.norm1.weight'],
        ),
        (
            'kw1d2_mbv2',
            4e-5,
            ['warehouses.stage6_expand', 'layer2.0.conv.0.conv.weight', 'conv2.conv.attention.fc2.weight'],
            ['conv1.bn.weight', 'conv2.conv.attention.fc2.bias', 'conv2.conv.attention.norm1.bias'],
        ),
        (
            'odconv4x_mbv2_w050',
            4e-5,
            ['conv1.conv.weight', 'conv2.conv.kernels', 'conv2.conv.attention.fc.weight'],
            ['conv2.conv.attention.bn.weight', 'conv2.conv.attention.kernel_fc.bias'],
        ),
    ],
)
def test_matrices_decay_and_one_dimensional_tensors_and_biases_do_not(name, decay, decayed, undecayed):
    cfg = config(name)
    model = build(cfg)
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    found = {id(p): group['weight_decay'] for group in groups for p in group['params']}
    decays = {key: found[id(p)] for key, p in model.named_parameters()}
    assert [decays[f'backbone.{key}'] for key in decayed] == [decay] * len(decayed)
    assert [decays[f'backbone.{key}'] for key in undecayed] == [0] * len(undecayed)
    for key, p in model.named_parameters():
        assert decays[key] == (0 if p.dim() == 1 or key.endswith('bias') else decay), key


@pytest.mark.parametrize('name', ['odconv1x_r18_100e', 'kw1x_r18_100e'])
def test_everything_decays_in_the_traditional_recipe(name):
    cfg = config(name)
    plain_backbone(cfg).update(stem_channels=16, base_channels=16)
    cfg.model.head.in_channels = 128
    model = build(cfg)
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    assert {group['weight_decay'] for group in groups} == {1e-4}
    assert sum(len(group['params']) for group in groups) == len(list(model.parameters()))


@pytest.mark.parametrize('name', TRADITIONAL)
def test_dropout_is_of_odconv_4x_alone(name):
    head = build(config(name), 'head')
    assert [m.p for m in head.modules() if isinstance(m, nn.Dropout)] == ([0.2] if name == 'odconv4x_r18_100e' else [])


def drop_rates(backbone):
    blocks = [m for m in backbone.modules() if hasattr(m, 'drop_path')]
    return [getattr(block.drop_path, 'drop_prob', 0.0) for block in blocks]


@pytest.mark.parametrize(
    'name, rate',
    [('r18', 0), ('kw1d4_r18', 0), ('kw1d2_r18', 0), ('kw1x_r18', 0.1), ('kw2x_r18', 0.1), ('kw4x_r18', 0.1)]
    + [('r50', 0.1), ('kw1d2_r50', 0.1), ('kw1x_r50', 0.1), ('kw4x_r50', 0.1)]
    + [('dyconv4x_r18', 0.1), ('odconv4x_r18', 0.1), ('dyconv4x_r50', 0.1), ('odconv4x_r50', 0.1)]
    + [(name, 0) for name in TRADITIONAL],
)
def test_every_resnet_block_has_the_same_stochastic_depth(name, rate):
    cfg = config(name)
    plain_backbone(cfg).update(stem_channels=16, base_channels=16)
    assert drop_rates(build(cfg, 'backbone')) == [rate] * (8 if 'r18' in name else 16)


@pytest.mark.parametrize('name, rate', [('convnext_t', 0.1), ('kw1x_convnext_t', 0.3), ('kw3d4_convnext_t', 0.3)])
def test_convnext_ramps_stochastic_depth(name, rate):
    assert drop_rates(build(config(name), 'backbone')) == pytest.approx([rate * i / 17 for i in range(18)])


@pytest.mark.parametrize('name', NAMES)
def test_label_smoothing(name):
    head = build(config(name), 'head')
    logits = torch.randn(4, 1000, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 5, 5, 999])
    negative = -logits.log_softmax(1)
    amount = 0.1 if name in SMOOTHED else 0
    expected = (1 - amount) * negative[range(4), labels] + amount * negative.mean(1)
    torch.testing.assert_close(head.loss_module(logits, labels, avg_factor=4), expected.mean())


@pytest.mark.parametrize('name', NAMES)
def test_only_convnext_averages_weights_0_9999_a_step(name):
    cfg = config(name)
    hooks = [dict(hook) for hook in cfg.custom_hooks if hook.type == 'EMAHook']
    assert len(hooks) == ('convnext' in name)
    for hook in hooks:
        hook.pop('priority')  # the Runner's argument, not the hook's
        weights = nn.Linear(1, 1)
        nn.init.zeros_(weights.weight)
        averaged = MODELS.build(HOOKS.build(hook).ema_cfg, default_args=dict(model=weights))
        averaged.update_parameters(weights)
        nn.init.ones_(weights.weight)  # a step moved it
        for _ in range(2 * cfg.optim_wrapper.accumulative_counts):
            averaged.update_parameters(weights)
        assert averaged.module.weight.item() == pytest.approx(1 - 0.9999**2)
