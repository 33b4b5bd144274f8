"""Classifiers whose linear layer a method replaces."""

import pytest
import torch
from mmengine.registry import MODELS, DefaultScope

from mmkw.layers import KWLinear
from mmkw.models import DropoutLinearClsHead, KWLinearClsHead

KW = dict(type='KernelWarehouse', plan='classifier', budget='1/2x', cell_inplane_ratio=0.25)


def build(method):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(
            dict(
                type='ConvertedLinearClsHead',
                num_classes=10,
                in_channels=64,
                method=method,
                loss=dict(type='CrossEntropyLoss'),
            )
        )


def test_the_short_form_is_the_same_head():
    head, short = build(KW), KWLinearClsHead(10, 64, cell_inplane_ratio=0.25)
    assert type(head.fc) is type(short.fc) is KWLinear
    assert {k: v.shape for k, v in head.state_dict().items()} == {k: v.shape for k, v in short.state_dict().items()}


def test_it_classifies_and_its_bias_starts_at_0():
    head = build(KW)
    head.init_weights()
    assert not head.fc.bias.any()
    assert head((torch.randn(2, 64),)).shape == (2, 10)


@pytest.mark.parametrize(
    'method, message',
    [
        (dict(type='NoConv'), "the method must be one of .*KernelWarehouse.*, got 'NoConv'"),
        (dict(kernels=4), 'the method must be one of .*KernelWarehouse.*, got None'),
    ],
)
def test_what_is_no_method_for_it_is_named(method, message):
    with pytest.raises(ValueError, match=message):
        build(method)


def test_dropout_is_of_the_features_in_training_alone():
    head = DropoutLinearClsHead(4, 4, dropout=0.2)
    assert head.state_dict().keys() == {'fc.weight', 'fc.bias'}
    with torch.no_grad():
        head.fc.weight.copy_(torch.eye(4))
        head.fc.bias.zero_()
    ones = torch.ones(4000, 4)
    assert torch.equal(head.eval()((ones,)), ones)
    torch.manual_seed(0)
    dropped = head.train()((ones,))
    assert set(dropped.unique().tolist()) == {0, 1.25}
    assert (dropped == 0).float().mean().item() == pytest.approx(0.2, abs=0.02)
