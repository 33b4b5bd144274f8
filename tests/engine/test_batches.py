"""A batch of a single image is refused before training, exactly if there will be one."""

from types import SimpleNamespace
from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmdet.datasets.samplers import AspectRatioBatchSampler, MultiDataAspectRatioBatchSampler
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.dataset import sampler as samplers
from small_training import EPOCH, make_runner
from torch import nn
from torch.utils.data import BatchSampler, DataLoader

from mmkw.engine import LaunchError, batches, check_batches
from mmkw.layers import DCDLinear, KWLinear, ODConv2d
from mmkw.models import KWResNet


class Images(list):
    """A data set of images of height 2, which gives widths as mmdet's samplers ask for them."""

    def get_data_info(self, index):
        return dict(width=self[index], height=2)


def model():
    return nn.Sequential(KWLinear(2, 2))


def runner_of(batch_sampler, network=None, max_iters=1000):
    loader = DataLoader(batch_sampler.sampler.dataset, batch_sampler=batch_sampler)
    warned = []
    return SimpleNamespace(
        train_loop=object(),
        train_dataloader=loader,
        model=network or model(),
        max_iters=max_iters,
        logger=SimpleNamespace(warning=warned.append),
        warned=warned,
    )


def is_refused(runner, gpus=1):
    with mock.patch.object(batches, 'get_world_size', lambda: gpus):
        try:
            check_batches(runner)
        except LaunchError:
            return True
    return False


@given(
    widths=st.lists(st.integers(1, 3), min_size=1, max_size=30),
    size=st.integers(1, 5),
    gpus=st.integers(1, 4),
    kind=st.sampled_from([BatchSampler, AspectRatioBatchSampler]),
    drop_last=st.booleans(),
    round_up=st.booleans(),
)
def test_refused_are_exactly_the_trainings_with_a_batch_of_one(widths, size, gpus, kind, drop_last, round_up):
    if len(widths) < gpus and not round_up:
        return  # one GPU has no images
    of_gpus = []
    for rank in range(gpus):
        with mock.patch.object(samplers, 'get_dist_info', lambda rank=rank: (rank, gpus)):
            sampler = DefaultSampler(Images(widths), seed=0, round_up=round_up)
        of_gpus.append(kind(sampler, size, drop_last))
    has_one = any(len(batch) == 1 for batch_sampler in of_gpus for batch in batch_sampler)
    assert {is_refused(runner_of(batch_sampler), gpus) for batch_sampler in of_gpus} == {has_one}


def nine_in_fours(**changes):
    return runner_of(BatchSampler(DefaultSampler(Images([1] * 9)), 4, drop_last=False), **changes)


def test_the_message_names_the_numbers_and_the_remedies():
    with pytest.raises(LaunchError) as error:
        check_batches(nine_in_fours())
    assert str(error.value) == (
        'the batch norms of the attentions cannot be trained on a single image, and the last batch of an '
        'epoch is one (9 images on 1 GPU, batch_size 4): set train_dataloader.batch_sampler.drop_last=True, or '
        'norm_eval=True in the backbone'
    )


def test_a_training_that_ends_before_the_last_batch():
    assert is_refused(nine_in_fours(max_iters=3))
    assert not is_refused(nine_in_fours(max_iters=2))


def test_an_endless_sampler_has_no_last_batch():
    assert not is_refused(runner_of(BatchSampler(InfiniteSampler(Images([1] * 9)), 4, drop_last=False)))
    assert is_refused(runner_of(BatchSampler(InfiniteSampler(Images([1] * 9)), 1, drop_last=False)))


def test_rests_that_chance_decides_are_warned_of():
    for drop_last, warnings in ((False, 1), (True, 0)):
        batch_sampler = MultiDataAspectRatioBatchSampler(DefaultSampler(Images([1] * 9)), [4, 3], 2, drop_last)
        runner = runner_of(batch_sampler)
        assert not is_refused(runner)
        assert len(runner.warned) == warnings


def in_roi_head():
    network = nn.Module()
    network.roi_head = model()
    return network


SMALL = dict(base_channels=8, stem_channels=8)
UNTRAINED = {
    'no attention': lambda: nn.Conv2d(3, 4, 1),
    'LayerNorm': lambda: KWLinear(2, 2, norm='LN'),
    'norm_eval': lambda: KWResNet(18, norm_eval=True, **SMALL),
    'norm_eval, synchronized': lambda: nn.SyncBatchNorm.convert_sync_batchnorm(KWResNet(18, norm_eval=True, **SMALL)),
    'all stages frozen': lambda: KWResNet(18, frozen_stages=4, **SMALL),
    'regions of images': in_roi_head,
}


@pytest.mark.parametrize('make', UNTRAINED.values(), ids=UNTRAINED)
def test_networks_that_take_a_batch_of_one(make):
    assert not is_refused(nine_in_fours(network=make()))


@pytest.mark.parametrize('layer', [KWLinear(2, 2), ODConv2d(2, 2, 3), DCDLinear(2, 2, latent=1, squeeze=1)])
def test_methods_that_need_two_images(layer):
    assert is_refused(nine_in_fours(network=nn.Sequential(layer)))


def test_some_stages_frozen():
    assert is_refused(nine_in_fours(network=KWResNet(18, frozen_stages=3, **SMALL)))


def test_a_synchronized_norm_takes_one_image_on_each_of_several_gpus(monkeypatch):
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(model())
    assert is_refused(nine_in_fours(network=converted))
    for gpus, refused in ((1, True), (2, False)):
        dist = SimpleNamespace(is_available=lambda: True, is_initialized=lambda: True)
        dist.get_world_size = lambda group, gpus=gpus: gpus
        monkeypatch.setattr('mmkw.layers.dynamic.dist', dist)
        assert is_refused(nine_in_fours(network=converted), gpus) == refused
        assert is_refused(nine_in_fours(), gpus)  # 9 images on one GPU, 5 on each of two


@pytest.mark.parametrize('by_epoch', [True, False], ids=['epoch based', 'iteration based'])
def test_the_temperature_hook_checks_for_those_who_use_other_tools(tmp_path, by_epoch):
    samples = dict(dataset=[dict(x=torch.randn(4)) for _ in range(2 * EPOCH + 1)])
    runner = make_runner(tmp_path, dict(end=1, by_epoch=False), by_epoch=by_epoch)
    runner._train_dataloader.update(samples)
    if by_epoch:
        with pytest.raises(LaunchError, match=r'9 images on 1 GPU, batch_size 2\): set train_dataloader.drop_last=Tr'):
            runner.train()
        assert runner.model.seen == []
    else:
        runner.train()
