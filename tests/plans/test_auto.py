"""The automatic plan says what shares a warehouse, how it is cut, and what stays plain."""

import pytest
import torch
from torch import nn

from mmkw import convert
from mmkw.plans import auto_plan


def quietly(model, *args, **kwargs):
    return auto_plan(model, *args, log=lambda text: None, **kwargs)


def block(width, groups=1):
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1, groups=groups), nn.ReLU(), nn.Conv2d(width, 2 * width, 1)
    )


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3)
        self.layer1 = nn.Sequential(block(32), nn.Conv2d(64, 32, 1), block(32))
        self.layer2 = nn.Sequential(block(64, groups=64), nn.Conv2d(128, 64, 1), block(64, groups=64))
        self.layer3 = nn.Sequential(block(128, groups=2), nn.Conv2d(256, 8, 1))
        self.fc = nn.Linear(8, 32)

    def forward(self, x):
        return self.fc(self.layer3(self.layer2(self.layer1(self.stem(x)))).mean((2, 3)))


def test_stages_and_kinds():
    plan = quietly(Network())
    assert {name: tuple(spec.layers) for name, spec in plan.items()} == {
        'stage0_conv': ('layer1.0.0', 'layer1.0.2', 'layer1.1', 'layer1.2.0', 'layer1.2.2'),
        'stage1_depthwise': ('layer2.0.0', 'layer2.2.0'),
        'stage1_conv': ('layer2.0.2', 'layer2.1', 'layer2.2.2'),
        'stage2_grouped': ('layer3.0.0',),
        'stage2_conv': ('layer3.0.2',),
    }


def test_blocks_of_one_width_in_a_row_are_one_stage():
    plan = quietly(nn.Sequential(nn.Conv2d(3, 32, 3), *(nn.Conv2d(i, o, 1) for i, o in ((32, 64), (64, 64), (64, 32)))))
    assert {name: tuple(spec.layers) for name, spec in plan.items()} == {
        'stage0_conv': ('1', '2'),
        'stage1_conv': ('3',),
    }


def test_attentions_that_would_outgrow_the_weights_get_another_warehouse():
    model = nn.Sequential(nn.Conv2d(3, 48, 1), nn.Sequential(*(nn.Conv2d(48, 48, 3) for _ in range(32))))
    plan = quietly(model)
    assert len(plan) > 1
    assert [name for spec in plan.values() for name in spec.layers] == [f'1.{i}' for i in range(32)]
    convert(model, plan)
    attentions = sum(p.numel() for name, p in model.named_parameters() if '.fc2.weight' in name)
    assert attentions < 1.1 * sum(p.numel() for p in model.warehouses.parameters())


@pytest.mark.parametrize('budget, mixtures', [('1/2x', 2), ('1/4x', 4)])
def test_below_budget_1_every_layer_has_its_part_of_the_cells(budget, mixtures):
    model = convert(Network(), quietly(Network(), budget))
    layers = [m for m in model.modules() if hasattr(m, 'start_assignment')]
    assert len(layers) == 12
    for layer in layers:
        assert layer.mixtures == mixtures * sum(cell >= 0 for cell in layer.start_assignment())


def test_a_kernel_too_odd_for_the_budget_stays_plain():
    model = nn.Sequential(nn.Conv2d(3, 17, 1), nn.Conv2d(17, 19, 3), nn.Conv2d(19, 32, 1))
    texts = []
    plan = auto_plan(model, '1/2x', log=texts.append)
    assert [spec.layers for spec in plan.values()] == [('2',)]
    assert 'plain: 1 (its kernel has no cells of which budget 0.5' in texts[0]


class Reads(nn.Module):
    def __init__(self):
        super().__init__()
        self.proj = nn.Linear(32, 32)
        self.other = nn.Linear(32, 32)
        self.attention = nn.MultiheadAttention(32, 2)

    def forward(self, x):
        return nn.functional.linear(self.other(x), self.proj.weight)


class Padded(nn.Conv2d):
    def forward(self, x):
        return super().forward(nn.functional.pad(x, (0, 1, 0, 1)))


def tied():
    model = nn.Sequential(nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 64))
    model[1].weight = model[0].weight
    return model


def twice():
    model = nn.Sequential(nn.Linear(32, 32), nn.Linear(32, 64))
    model.append(model[0])
    return model


def hooked():
    return nn.Sequential(torch.nn.utils.spectral_norm(nn.Linear(32, 32)), nn.Linear(32, 64))


def parametrized():
    return nn.Sequential(torch.nn.utils.parametrizations.weight_norm(nn.Linear(32, 32)), nn.Linear(32, 64))


PLAIN = {
    'the first convolution': (Network, 'stem', 'the first convolution'),
    'a classifier': (Network, 'fc', 'the classifier'),
    'a narrow layer': (Network, 'layer3.1', 'narrower than 16 channels'),
    'a weight that is read': (Reads, 'proj', 'reads its weight'),
    'an attention of torch': (Reads, 'attention', 'no dynamic layer is known for a MultiheadAttention'),
    "an attention's projection": (Reads, 'attention.out_proj', 'no dynamic layer is known'),
    'a forward of its own': (
        lambda: nn.Sequential(nn.Conv2d(3, 32, 1), Padded(32, 32, 2), nn.Conv2d(32, 32, 1)),
        '1',
        'Padded',
    ),
    'a shared weight': (tied, '0', 'shared'),
    'a layer used twice': (twice, '0', 'more than one name'),
    'hooks': (hooked, '0', 'its weight is shared or computed'),
    'a computed weight': (parametrized, '0', 'no dynamic layer is known for a ParametrizedLinear'),
}


@pytest.mark.parametrize('make, name, reason', PLAIN.values(), ids=PLAIN)
def test_what_cannot_move_stays_plain_and_is_named(make, name, reason):
    texts = []
    plan = auto_plan(make(), log=texts.append)
    assert name not in [layer for spec in plan.values() for layer in spec.layers]
    line = next(line for line in texts[0].splitlines() if line.startswith(f'  plain: {name} ('))
    assert reason in line


def test_norms_of_the_attentions_are_the_networks():
    assert quietly(tied())['stage0_linear'].norm == 'LN'
    model = nn.Sequential(nn.Conv2d(3, 32, 1), nn.BatchNorm2d(32), nn.Conv2d(32, 32, 1))
    assert quietly(model)['stage0_conv'].norm == 'BN'


def test_skipping():
    plan = quietly(Network(), skip=['layer1.*', 'layer2.?.0'])
    assert list(plan) == ['stage0_conv', 'stage1_grouped', 'stage1_conv']
    with pytest.raises(ValueError, match="skip: 'layer9' fits no convolution or Linear layer of Network"):
        quietly(Network(), skip=['layer9'])


def test_a_network_with_nothing_to_move():
    with pytest.raises(ValueError, match=r'Sequential has no layer to move.*\n  0: the first convolution'):
        quietly(nn.Sequential(nn.Conv2d(3, 32, 1)))


def test_it_prints_by_default(capsys):
    auto_plan(Network())
    assert 'automatic plan: 12 layers in 5 warehouses' in capsys.readouterr().out
