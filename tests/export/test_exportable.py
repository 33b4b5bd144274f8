"""In the forms for ONNX layers compute what they compute otherwise."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mmkw.export import exportable
from mmkw.layers import KWConv1d, KWConv2d, KWConv3d, KWLinear, set_temperature


@settings(max_examples=60, deadline=None)
@given(
    dims=st.sampled_from([1, 2]),
    groups=st.sampled_from([1, 2, 4]),
    width=st.sampled_from([4, 8]),
    window=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    padding=st.one_of(st.just('same'), st.just('valid'), st.tuples(st.integers(0, 2), st.integers(0, 2))),
    padding_mode=st.sampled_from(['zeros', 'reflect', 'circular']),
    bias=st.booleans(),
    batch=st.sampled_from([1, 2, 5]),
    dynamic=st.booleans(),
)
def test_both_forms_equal_the_layer(
    dims, groups, width, window, stride, dilation, padding, padding_mode, bias, batch, dynamic
):
    if padding == 'same':
        stride = (1, 1)
    numbers = [value if isinstance(value, str) else value[:dims] for value in (window, stride, padding, dilation)]
    kind = KWConv1d if dims == 1 else KWConv2d
    torch.manual_seed(0)
    layer = kind(4, width, *numbers, groups, bias, padding_mode, budget=2).double().eval()
    if bias:
        nn.init.normal_(layer.bias)
    set_temperature(layer, 0.3)
    x = torch.randn(batch, 4, *(7, 9)[:dims], dtype=torch.float64)
    with torch.no_grad():
        expected = layer(x)
        with exportable(layer, dynamic):
            torch.testing.assert_close(layer(x), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('dynamic', [True, False])
def test_linear(dynamic):
    layer = KWLinear(8, 6).double().eval()
    x = torch.randn(2, 3, 8, dtype=torch.float64)
    expected = layer(x)
    with exportable(layer, dynamic):
        torch.testing.assert_close(layer(x), expected)


def test_a_3d_convolution_is_refused_by_name():
    with (
        pytest.raises(ValueError, match="'1' is a KWConv3d: only 1-d and 2-d"),
        exportable(nn.Sequential(nn.ReLU(), KWConv3d(4, 4, 3)), True),
    ):
        pass


def test_the_layers_are_themselves_again_after_an_error():
    layer = KWConv2d(4, 4, 3)
    with pytest.raises(KeyError), exportable(layer, True):
        assert layer.convolution is not None
        raise KeyError
    assert layer.convolution is None
