"""KernelWarehouse layers: constructor, formulas, gradients, state and bad input."""

import copy
import io

import pytest
import torch
from mmengine import model as mmengine_model
from torch import nn

from mmkw import set_temperature
from mmkw.layers import KWAttention, KWConv1d, KWConv2d, KWConv3d, KWLinear, Warehouse, Warehouses

CONVS = {1: KWConv1d, 2: KWConv2d, 3: KWConv3d}


def at_start(layer):
    """The plain kernel that a layer is at temperature 1."""
    set_temperature(layer, 1)
    size = [5] * layer.dims
    return layer.eval().kernel(torch.randn(1, layer.in_channels, *size, dtype=layer.cells.dtype))[0]


@pytest.mark.parametrize('dims', [1, 2, 3])
@pytest.mark.parametrize(
    'kwargs',
    [
        dict(stride=2, padding=1),
        dict(dilation=2, bias=False),
        dict(groups=2, padding='same'),
        dict(groups=4, padding=1, padding_mode='circular'),
        dict(padding=1, padding_mode='replicate', budget=2),
        dict(padding=1, spatial_partition=False),
        dict(budget=0.5, cell_inplane_ratio=0.5, cell_outplane_ratio=0.5),
    ],
)
def test_at_temperature_one_a_layer_is_torchs_layer_with_its_start_kernel(dims, kwargs):
    layer = CONVS[dims](4, 8, 3, **kwargs).double()
    if layer.bias is not None:
        nn.init.normal_(layer.bias)
    conv_kwargs = {k: v for k, v in kwargs.items() if k in ('stride', 'padding', 'dilation', 'groups', 'padding_mode')}
    plain = getattr(nn, f'Conv{dims}d')(4, 8, 3, bias=layer.bias is not None, **conv_kwargs).double()
    with torch.no_grad():
        plain.weight.copy_(at_start(layer))
        if layer.bias is not None:
            plain.bias.copy_(layer.bias)
    x = torch.randn(2, 4, *[7] * dims, dtype=torch.double)
    torch.testing.assert_close(layer(x), plain(x))


def test_samples_do_not_mix():
    layer = KWConv2d(4, 6, 3, padding=1).eval()
    x = torch.randn(3, 4, 5, 5)
    torch.testing.assert_close(layer(x)[1:2], layer(x[1:2]))


@pytest.mark.parametrize('temperature', [0.0, 0.3, 1.0])
@pytest.mark.parametrize('kwargs', [dict(groups=2), dict(norm='LN'), dict(nonlocal_basis_ratio=0.5)])
def test_gradients(temperature, kwargs):
    torch.manual_seed(0)
    kernel = (4, 4 // kwargs.get('groups', 1), 1, 2)
    warehouse = Warehouse(Warehouses(), 'shared', [kernel] * 2, budget=1)
    layer = KWConv2d(4, 4, (1, 2), warehouse=warehouse, **kwargs).double().eval()
    layer.warehouses.double()
    nn.init.normal_(layer.cells)
    set_temperature(layer, temperature)
    x = torch.randn(2, 4, 3, 3, dtype=torch.double, requires_grad=True)
    parameters = [layer.cells, *layer.parameters()]
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, *parameters))


@pytest.mark.parametrize('kernel_size', [1, 3])
@pytest.mark.parametrize('batch', [1, 2])
def test_an_in_place_activation_may_follow(kernel_size, batch):
    torch.manual_seed(0)
    layer = KWConv2d(4, 6, kernel_size, bias=False).double().eval()
    x = torch.randn(batch, 4, 5, 5, dtype=torch.double)
    grads = []
    for inplace in (True, False):
        out = nn.functional.leaky_relu(layer(x), inplace=inplace)
        grads.append([out, *torch.autograd.grad(out.square().sum(), layer.parameters())])
    for in_place, out_of_place in zip(*grads):
        torch.testing.assert_close(in_place, out_of_place, rtol=0, atol=0)


def test_linear_pools_over_all_positions():
    layer = KWLinear(6, 4).double().eval()
    x = torch.randn(2, 3, 5, 6, dtype=torch.double)
    weight = layer.kernel(x.reshape(2, 15, 6).transpose(1, 2))[..., 0]
    torch.testing.assert_close(layer(x), torch.einsum('bhwc,boc->bhwo', x, weight) + layer.bias)


def test_linear_of_one_position():
    assert KWLinear(6, 4).eval()(torch.randn(2, 6)).shape == (2, 4)


def test_basis_form_orders_local_and_nonlocal_cells():
    attention = KWAttention(4, mixtures=3, cells=7, nonlocal_basis_ratio=0.5, local_cells=(2, 1)).eval()
    pooled = torch.randn(2, 4)
    hidden = attention.relu(attention.norm1(attention.fc1(pooled)))
    nn.init.normal_(attention.basis_bias)
    local, basis, zero = attention.fc2(hidden).view(2, 3, 18).split((1, 16, 1), -1)
    others = basis @ attention.fc3.weight.T
    expected = torch.cat((others[..., :2], local, others[..., 2:], zero), -1) + attention.basis_bias
    torch.testing.assert_close(attention(pooled), expected)


@pytest.mark.parametrize('in_channels, reduction, hidden', [(512, 1 / 16, 32), (64, 1 / 16, 16), (1280, 1 / 32, 40)])
def test_hidden_width(in_channels, reduction, hidden):
    assert KWAttention(in_channels, 1, 1, reduction).fc1.out_features == hidden


def test_attention_initialisation():
    attention = KWAttention(1024, mixtures=100, cells=9)
    assert attention.fc2.weight.std().item() == pytest.approx((2 / 1000) ** 0.5, rel=0.05)
    assert not attention.fc2.bias.any()
    assert attention.fc1.bias is None
    assert KWAttention(16, 1, 1, norm='LN').fc1.bias is not None


def test_cell_initialisation_counts_the_cells_that_a_layer_takes():
    layer = KWConv2d(64, 128, 3, budget=2)
    assert layer.cells.shape == (18, 128, 64, 1, 1)
    assert layer.cells.std().item() == pytest.approx((2 / (18 * 128)) ** 0.5, rel=0.05)


def test_a_shared_warehouse_is_no_part_of_the_layer():
    store = Warehouses()
    warehouse = Warehouse(store, 'both', [(8, 8, 3, 3), (8, 8, 1, 1)], budget=1)
    first, second = KWConv2d(8, 8, 3, warehouse=warehouse), KWConv2d(8, 8, 1, warehouse=warehouse)
    warehouse.close()
    assert first.cells is second.cells is store['both']
    assert not any('warehouses' in name for name, _ in first.named_parameters())
    assert (first.start_assignment(), second.start_assignment()) == (list(range(9)), [9])


def test_a_copied_network_has_its_own_warehouse():
    network = nn.Module()
    network.warehouses = Warehouses()
    network.conv = KWConv2d(4, 4, 1, warehouse=Warehouse(network.warehouses, 'a', [(4, 4, 1, 1)], 1))
    copied = copy.deepcopy(network)
    assert copied.conv.cells is copied.warehouses['a']
    assert copied.conv.cells is not network.warehouses['a']


def test_temperature_is_in_the_state_and_may_be_missing_from_it():
    layer = KWConv2d(4, 4, 3)
    set_temperature(layer, 0.25)
    state = layer.state_dict()
    other = KWConv2d(4, 4, 3)
    other.load_state_dict(state)
    assert other.warehouses.temperature == 0.25
    del state['warehouses.temperature']
    set_temperature(other, 0.5)
    other.load_state_dict(state)
    assert other.warehouses.temperature == 0.5


def test_a_new_layer_is_cold():
    assert KWConv2d(4, 4, 3).warehouses.temperature == 0


@pytest.mark.parametrize('kind', [KWConv1d, KWConv2d, KWConv3d])
def test_a_network_moves_to_channels_last_but_its_cells_do_not(kind):
    layer = kind(4, 6, 3, budget=2)
    strides = layer.cells.stride()
    expected = layer.cells.double()
    layer.to(torch.float64, memory_format=torch.channels_last)
    assert layer.cells.stride() == strides
    assert torch.equal(layer.cells, expected)


def test_a_whole_layer_survives_pickling():
    layer = KWConv2d(4, 4, 3).eval()
    buffer = io.BytesIO()
    torch.save(layer, buffer)
    buffer.seek(0)
    x = torch.randn(1, 4, 5, 5)
    torch.testing.assert_close(torch.load(buffer, weights_only=False)(x), layer(x))


def test_repr_names_the_warehouse():
    assert repr(KWConv2d(4, 8, 3, padding=1)).startswith(
        'KWConv2d(\n  4, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), mixtures=9, '
        'warehouse=cells (9, 8, 4, 1, 1)'
    )


@pytest.mark.parametrize('temperature', [-0.1, 1.1, float('nan')])
def test_temperature_outside_its_range(temperature):
    with pytest.raises(ValueError, match='temperature of the .* must be between 0 and 1, got'):
        set_temperature(KWConv2d(4, 4, 3), temperature)


def test_temperature_of_a_plain_model():
    with pytest.raises(ValueError, match='Conv2d has no dynamic layer'):
        set_temperature(nn.Conv2d(4, 4, 3), 0.5)


@pytest.mark.parametrize(
    'shape',
    [
        pytest.param((2, 3, 5, 5), id='wrong channel count'),
        pytest.param((2, 4, 0, 5), id='no position'),
        pytest.param((0, 4, 5, 5), id='empty batch'),
        pytest.param((4, 5, 5), id='no batch axis'),
    ],
)
def test_bad_input_shapes(shape):
    with pytest.raises(ValueError, match=r'KWConv2d needs an input of shape \(batch, 4, size, size\).*got \('):
        KWConv2d(4, 4, 3)(torch.randn(shape))


@pytest.mark.parametrize('shape', [(2, 5), (0, 6), (2, 0, 6), (6,)])
def test_bad_linear_input_shapes(shape):
    with pytest.raises(ValueError, match=r'KWLinear needs an input of shape \(batch, ..., 6\).*got \('):
        KWLinear(6, 4)(torch.randn(shape))


def to_mmengines_synchronized(layer):
    return mmengine_model.convert_sync_batchnorm(layer, 'torch')


def to_mmengines_and_back(layer):
    return mmengine_model.revert_sync_batchnorm(to_mmengines_synchronized(layer))


@pytest.mark.parametrize(
    'change',
    [lambda layer: layer, nn.SyncBatchNorm.convert_sync_batchnorm, to_mmengines_synchronized, to_mmengines_and_back],
    ids=['as it is', 'synchronized by torch', 'by mmengine', 'and back'],
)
def test_batch_norm_of_one_training_sample(change):
    layer = change(KWConv2d(4, 4, 3))
    with pytest.raises(
        ValueError, match='cannot train on a batch of 1, .* last batch .*drop_last=True.*norm_eval=True'
    ):
        layer(torch.randn(1, 4, 5, 5))
    assert layer(torch.randn(2, 4, 5, 5)).shape == layer.eval()(torch.randn(2, 4, 5, 5)).shape
    assert len(layer(torch.randn(1, 4, 5, 5))) == 1


def test_a_layer_norm_trains_on_one_sample():
    assert len(KWConv2d(4, 4, 3, norm='LN')(torch.randn(1, 4, 5, 5))) == 1


def test_groups_that_do_not_divide_the_channels():
    with pytest.raises(ValueError, match='groups=3 must divide in_channels=4 and out_channels=6'):
        KWConv2d(4, 6, 3, groups=3)


def test_kernel_size_of_another_dimension():
    with pytest.raises(ValueError, match=r'kernel_size must be an int or 2 ints, got \(3, 3, 3\)'):
        KWConv2d(4, 4, (3, 3, 3))


def test_unknown_norm():
    with pytest.raises(ValueError, match=r"norm must be one of \['BN', 'LN'\], got 'GN'"):
        KWConv2d(4, 4, 3, norm='GN')


def test_a_budget_that_leaves_a_warehouse_short():
    with pytest.raises(
        ValueError, match=r"'cells' has 2 cells but its layers take 3 at budget 0.5; use .*smaller cell"
    ):
        KWConv1d(4, 4, 5, budget=0.5)


@pytest.mark.parametrize('name', ['', 'a.b', 'temperature', 'taken'])
def test_bad_warehouse_names(name):
    store = Warehouses()
    Warehouse(store, 'taken', [(4, 4, 1, 1)], budget=1)
    with pytest.raises(ValueError, match='a warehouse cannot be named'):
        Warehouse(store, name, [(4, 4, 1, 1)], budget=1)
