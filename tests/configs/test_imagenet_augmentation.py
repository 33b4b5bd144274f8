"""The augmentation of the ImageNet recipes: settings of the built transforms, and what they do to images."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from imagenet_configs import ADVANCED, NAMES, build, config
from mmcv.transforms import Compose
from mmengine.registry import TRANSFORMS, DefaultScope

MIXED = [name for name in ADVANCED if name != 'kw1d4_r18']


def transforms(pipeline):
    """The transforms between loading and packing."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return [TRANSFORMS.build(step) for step in pipeline[1:-1]]


def names(steps):
    return [type(step).__name__ for step in steps]


@pytest.fixture(scope='module')
def strong():
    return {type(step).__name__: step for step in transforms(config('kw1x_r18').train_dataloader.dataset.pipeline)}


@pytest.mark.parametrize('name', NAMES)
def test_order(name):
    steps = transforms(config(name).train_dataloader.dataset.pipeline)
    more = ['RandAugment', 'RandomErasing'] if name in ADVANCED else []  # and no colour jitter
    assert names(steps) == ['RandomResizedCrop', 'RandomFlip', *more]


@pytest.mark.parametrize(
    'name, interpolation',
    [('kw1x_r50', 'bicubic'), ('convnext_t', 'bicubic'), ('mbv2', 'bilinear'), ('r18_100e', 'bilinear')],
)
def test_sizes_and_interpolation(name, interpolation):
    image = dict(img=np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8))
    crop, flip, *_ = steps = transforms(config(name).train_dataloader.dataset.pipeline)
    assert Compose(steps)(dict(image))['img'].shape == (224, 224, 3)
    assert (crop.crop_ratio_range, crop.aspect_ratio_range) == ((0.08, 1.0), (3 / 4, 4 / 3))
    assert (flip.prob, flip.direction) == (0.5, 'horizontal')
    resize, centre = transforms(config(name).val_dataloader.dataset.pipeline)
    assert resize(dict(image))['img'].shape == (256, 341, 3)
    assert centre(resize(dict(image)))['img'].shape == (224, 224, 3)
    assert {(step.backend, step.interpolation) for step in (crop, resize)} == {('pillow', interpolation)}


def test_rand_augment_m9_std_0_5_inc_1(strong):
    augment = strong['RandAugment']
    assert (augment.num_policies, augment.magnitude_level, augment.magnitude_std) == (2, 9, 0.5)
    operations = {
        (type(step).__name__, getattr(step, 'direction', None)): (step.magnitude_range, step.prob) for step in augment
    }
    assert operations == {
        ('AutoContrast', None): (None, 0.5),
        ('Equalize', None): (None, 0.5),
        ('Invert', None): (None, 0.5),
        ('Rotate', None): ((0, 30), 0.5),
        ('Posterize', None): ((4, 0), 0.5),
        ('Solarize', None): ((256, 0), 0.5),
        ('SolarizeAdd', None): ((0, 110), 0.5),
        ('ColorTransform', None): ((0, 0.9), 0.5),
        ('Contrast', None): ((0, 0.9), 0.5),
        ('Brightness', None): ((0, 0.9), 0.5),
        ('Sharpness', None): ((0, 0.9), 0.5),
        ('Shear', 'horizontal'): ((0, 0.3), 0.5),
        ('Shear', 'vertical'): ((0, 0.3), 0.5),
        ('Translate', 'horizontal'): ((0, 0.45), 0.5),
        ('Translate', 'vertical'): ((0, 0.45), 0.5),
    }
    rotate = next(step for step in augment if type(step).__name__ == 'Rotate')
    np.random.seed(0)
    angles = [rotate.random_magnitude() for _ in range(2000)]
    assert np.mean(angles) == pytest.approx(27, abs=0.2)
    assert np.std(angles) == pytest.approx(1.5, abs=0.15)  # 30 x 0.5 / 10, a little less for the cut at 10
    assert max(angles) <= 30


def test_what_is_moved_out_is_filled_with_the_mean(strong):
    moved = [step for step in strong['RandAugment'] if type(step).__name__ in ('Rotate', 'Shear', 'Translate')]
    assert len(moved) == 5
    assert {(step.pad_val, step.interpolation) for step in moved} == {((104, 116, 124), 'bicubic')}  # BGR


def test_random_erasing_fills_a_quarter_of_the_images_with_a_patch_of_normal_pixels(strong):
    erase = strong['RandomErasing']
    assert (erase.min_area_ratio, erase.max_area_ratio) == pytest.approx((0.02, 1 / 3))
    assert erase.aspect_range == pytest.approx((0.3, 1 / 0.3))
    np.random.seed(0)
    empty = np.full((64, 64, 3), 255, np.uint8)
    images = [erase(dict(img=empty.copy()))['img'] for _ in range(800)]
    erased = [image for image in images if (image != 255).any()]
    assert len(erased) / len(images) == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / 800))
    pixels = np.concatenate([image[(image < 255).any(-1)] for image in erased]).astype(float)
    # Cut off at 0 and 255, and mixed channel by channel: normal with ImageNet's mean and deviation.
    assert np.median(pixels, axis=0) == pytest.approx([103.53, 116.28, 123.675], abs=1.5)
    assert np.abs(np.corrcoef(pixels.T) - np.eye(3)).max() < 0.02


@pytest.mark.parametrize('name', MIXED)
def test_every_batch_is_mixed_by_mixup_or_cutmix(name):
    cfg = config(name)
    cfg.model.backbone = dict(type='LeNet5')  # any small backbone will do
    augments = build(cfg).data_preprocessor.batch_augments
    mixup, cutmix = augments.augments
    assert [(type(a).__name__, a.alpha) for a in (mixup, cutmix)] == [('Mixup', 0.8), ('CutMix', 1.0)]
    chosen = Counter()
    mixup.mix = lambda *batch: (chosen.update(['mixup']), batch)[1]
    cutmix.mix = lambda *batch: (chosen.update(['cutmix']), batch)[1]
    np.random.seed(0)
    for _ in range(400):
        augments(torch.zeros(2, 3, 4, 4), torch.eye(2))
    assert chosen.total() == 400
    assert chosen['mixup'] == pytest.approx(200, abs=40)


@pytest.mark.parametrize('name', sorted(set(NAMES) - set(MIXED)))
def test_the_small_networks_batches_are_not(name):
    cfg = config(name)
    cfg.model.backbone = dict(type='LeNet5')
    assert build(cfg).data_preprocessor.batch_augments is None
