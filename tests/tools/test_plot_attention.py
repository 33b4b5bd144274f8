"""plot_attention.py draws figures from a checkpoint and images."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

import plot_attention
from running import TINY_CLASSIFIER, TINY_MASK_RCNN, run_tool

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder with two images, and an untrained checkpoint `<name>.pth` for each config."""
    out = tmp_path_factory.mktemp('attention')
    for number in range(2):
        cv2.imwrite(str(out / f'{number}.png'), np.full((64, 64, 3), 100 * number, np.uint8))
    for config in (TINY_CLASSIFIER, TINY_MASK_RCNN):
        cfg = Config.fromfile(config)
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), out / f'{config.stem}.pth')
    return out


def plot(folder, config, checkpoint, *images, status=0, options=()):
    return run_tool(
        'plot_attention.py', config, checkpoint, *images, '--out-dir', 'out', *options, cwd=folder, status=status
    )


@pytest.mark.parametrize('config', [TINY_CLASSIFIER, TINY_MASK_RCNN])
def test_draws_classifiers_and_detectors(folder, config):
    printed = plot(folder, config, f'{config.stem}.pth', '0.png', '1.png')
    for name in ('attention.png', 'start.png'):
        assert f'out/{name}: 4 warehouses, 2 images' in printed
        assert cv2.imread(str(folder / 'out' / name)) is not None


@pytest.mark.parametrize(
    'checkpoint, options, message',
    [
        ('0.png', (), 'checkpoint 0.png cannot be read'),
        (
            'tiny_classifier.pth',
            ('--cfg-options', 'model.backbone.budget=2x'),
            'checkpoint tiny_classifier.pth does not fit KWResNet: it has a ResNet of depth 18, budget b = 1',
        ),
    ],
    ids=['no checkpoint', 'of another model'],
)
def test_a_checkpoint_that_does_not_fit(folder, checkpoint, options, message):
    printed = plot(folder, TINY_CLASSIFIER, checkpoint, '0.png', options=options, status=1)
    assert message in printed
    assert 'Traceback' not in printed


@pytest.mark.parametrize(
    'image, message',
    [('2.png', 'there is no file 2.png'), ('tiny_classifier.pth', 'tiny_classifier.pth is no image')],
)
def test_bad_images_are_named_first(folder, image, message, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr('sys.argv', ['plot_attention.py', str(TINY_CLASSIFIER), 'tiny_classifier.pth', '0.png', image])
    with pytest.raises(SystemExit, match=message):
        plot_attention.main()
