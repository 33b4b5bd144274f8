"""The ImageNet recipes run as they are, on a handful of small images and with small networks."""

import cv2
import numpy as np
import pytest
import torch

import train
from mmkw.engine import launch
from running import ROOT

PIPELINE = 'train_dataloader.dataset.pipeline'
SMALL = ['train_cfg.max_epochs=2', 'train_dataloader.batch_size=4', f'{PIPELINE}.1.scale=32']
SMALL += ['train_dataloader.num_workers=0', 'val_dataloader.num_workers=0', 'default_hooks.logger.interval=1']
SMALL += ['val_dataloader.dataset.pipeline.1.scale=32', 'val_dataloader.dataset.pipeline.2.crop_size=32']
NETWORKS = {
    'kw1x_r18': 'backbone=dict(stem_channels=16, base_channels=16), head=dict(in_channels=128)',
    'kw1d2_mbv2_w050': '',
    'kw1x_convnext_t': (
        'backbone=dict(arch=dict(_delete_=True, depths=[1, 1, 1, 1], channels=[8, 16, 32, 64])), '
        'head=dict(in_channels=64)'
    ),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A tiny ImageNet: 10 images to train on, 4 to validate, listed in files and sorted into class folders."""
    rng = np.random.default_rng(0)
    for split, count in (('train', 10), ('val', 4)):
        (tmp_path / 'data/imagenet' / split / 'n0').mkdir(parents=True)
        for number in range(count):
            image = rng.integers(0, 256, (48, 40, 3), np.uint8)
            cv2.imwrite(str(tmp_path / 'data/imagenet' / split / 'n0' / f'{number}.JPEG'), image)
        (tmp_path / 'data/imagenet/meta').mkdir(exist_ok=True)
        lines = (f'n0/{number}.JPEG {100 * number}\n' for number in range(count))
        (tmp_path / 'data/imagenet/meta' / f'{split}.txt').write_text(''.join(lines))
    monkeypatch.chdir(tmp_path)
    for name in ('LOCAL_RANK', 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'):
        monkeypatch.setenv(name, '0')  # so that the test's changes to it are undone
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize('name', NETWORKS)
def test_trains_validates_and_saves(folder, name):
    config = folder / 'small.py'
    config.write_text(f"_base_ = '{ROOT}/configs/imagenet/{name}_in1k.py'\nmodel = dict({NETWORKS[name]})\n")
    runner = launch.runner_to_train(**train.arguments([str(config), '--work-dir', 'run', '--cfg-options', *SMALL]))
    runner.train()
    assert runner.iter == 4  # 10 images are 2 batches of 4, twice
    log = (folder / 'run' / runner.timestamp / f'{runner.timestamp}.log').read_text()
    tau = 1 - 4 / (2 * (15 if 'mbv2' in name else 20))
    assert f'temperature: {tau:.4f}  loss: ' in log
    assert 'accuracy/top5' in log
    checkpoint = torch.load(folder / 'run' / 'epoch_2.pth', weights_only=True)
    assert checkpoint['state_dict']['backbone.warehouses.temperature'] == pytest.approx(tau)
    assert ('ema_state_dict' in checkpoint) == ('convnext' in name)
