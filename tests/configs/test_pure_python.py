"""The config in mmengine's pure-Python style builds what its twin does, and every guard knows both styles."""

import shutil
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmpretrain.models.backbones import ResNet
from torch import nn

import model_info
import plot_attention
import train
from mmkw.checkpoints.files import build_model
from mmkw.config import read_config, scope_of, type_name
from mmkw.demo import digits
from mmkw.engine import LaunchError, TemperatureHook, check_files, launch
from mmkw.engine.schedule import trace_schedule
from running import ROOT, run_tool

TEXT, PURE = (ROOT / 'configs' / 'demo' / f'kw1x_r18_digits{style}.py' for style in ('', '_pure_python'))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder of its own for each test, with some of the digits."""
    digits.generate(tmp_path / 'data' / 'digits', 96, 100)
    monkeypatch.chdir(tmp_path)
    for name in ('LOCAL_RANK', 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'):
        monkeypatch.setenv(name, '0')  # so that the test's changes to it are undone
    return tmp_path


def training(config, *options):
    return launch.runner_to_train(**train.arguments([str(config), *options]))


@pytest.fixture
def changed(folder):
    """Write a config that inherits from the pure-Python one and changes it."""

    def write(text, imports=''):
        shutil.copy(PURE, folder)
        path = folder / 'changed.py'
        base = f'with read_base():\n    from .{PURE.stem} import *'
        path.write_text(f'from mmengine.config import read_base\n{imports}\n{base}\n{text}\n')
        return path

    return write


def plain_values(thing):
    """Settings of a hook or scheduler, without the objects that it is connected to."""
    simple = (bool, int, float, str, list, tuple, dict, type(None))
    return {key: value for key, value in vars(thing).items() if isinstance(value, simple)}


def test_both_styles_build_the_same():
    runners = [training(config) for config in (TEXT, PURE)]
    for runner in runners:
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)

    def built(runner):
        loaders = [runner.build_dataloader(runner.cfg[f'{part}_dataloader']) for part in ('train', 'val', 'test')]
        return dict(
            model=str(runner.model),
            optimizer=str(runner.optim_wrapper),
            schedulers=[(type(s), plain_values(s)) for s in runner.param_schedulers],
            hooks=[(type(hook), hook.priority, plain_values(hook)) for hook in runner.hooks],
            data=[(str(d.dataset), type(d.sampler), d.sampler.shuffle, d.batch_size, d.drop_last) for d in loaders],
            pipelines=[str(loader.dataset.pipeline) for loader in loaders],
            metrics=[[plain_values(m) for m in runner.build_evaluator(runner.cfg.val_evaluator).metrics]],
            loop=(runner.max_epochs, runner.train_loop.val_interval),
            visualizer=type(runner.visualizer),
        )

    text, pure = map(built, runners)
    for part in text:
        assert pure[part] == text[part], part


def test_the_tools_for_models_read_both(capsys, monkeypatch):
    assert str(build_model(Config.fromfile(PURE))) == str(build_model(Config.fromfile(TEXT)))
    printed = []
    for config in (TEXT, PURE):
        monkeypatch.setattr('sys.argv', ['model_info.py', str(config), '--shape', '32'])
        model_info.main()
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]


def test_schedules_are_the_same():
    text, pure = (trace_schedule(Config.fromfile(config), 2) for config in (TEXT, PURE))
    assert pure == text
    assert len(pure.temperatures) == 2 * Config.fromfile(TEXT).train_cfg.max_epochs


def test_images_are_loaded_without_annotations(changed, folder):
    imports = (
        'from mmpretrain.datasets import LoadImageFromFile, PackInputs\nfrom mmcv.transforms import LoadAnnotations'
    )
    steps = 'dict(type=LoadImageFromFile), dict(type=LoadAnnotations), dict(type=PackInputs)'
    cfg = Config.fromfile(changed(f'test_dataloader.dataset.pipeline = [{steps}]', imports))
    [image] = plot_attention.load_images(cfg, [str(next(folder.glob('data/digits/val/*/*.png')))])
    assert image['inputs'][0].shape == (3, 8, 8)


@pytest.mark.parametrize('kind', ['PlainPretrained', 'PublishedPretrained', 'PretrainedInit'])
def test_a_missing_file_is_named(changed, kind):
    source = 'mmengine.model' if kind == 'PretrainedInit' else 'mmkw.checkpoints'
    config = changed(
        f"model.backbone.init_cfg = dict(type={kind}, checkpoint='gone.pth')", f'from {source} import {kind}'
    )
    with pytest.raises(LaunchError, match='missing: gone.pth\n    named by: model.backbone.init_cfg.checkpoint'):
        training(config)


PLAIN_START = "model.backbone.init_cfg = dict(type=PlainPretrained, checkpoint='plain.pth')"


def test_a_warm_start_needs_its_temperature_hook(changed, folder):
    torch.save(ResNet(18, stem_channels=8, base_channels=8).state_dict(), 'plain.pth')
    imports = 'from mmkw.checkpoints import PlainPretrained'
    with pytest.raises(LaunchError, match='no hook lowers it'):
        training(changed(f'{PLAIN_START}\ncustom_hooks.pop()', imports))
    runner = training(changed(PLAIN_START, imports))
    assert any(isinstance(hook, TemperatureHook) for hook in runner.hooks)


@pytest.mark.parametrize(
    'kind, source', [('PlainPretrained', 'mmkw.checkpoints'), ('PretrainedInit', 'mmengine.model')]
)
def test_weights_that_do_not_fit(changed, kind, source):
    torch.save(ResNet(34, stem_channels=8, base_channels=8).state_dict(), 'plain.pth')
    text = f"model.backbone.init_cfg = dict(type={kind}, checkpoint='plain.pth')"
    with pytest.raises(LaunchError, match='ResNet of depth 34.* the model .*a ResNet of depth 18'):
        training(changed(text, f'from {source} import {kind}'))


def test_data_that_fetches_itself(changed):
    imports = 'from mmpretrain.datasets import CIFAR10'
    text = "train_dataloader.dataset = dict(type=CIFAR10, data_root='gone', pipeline=[])"
    check_files(Config.fromfile(changed(text, imports)))


def test_amp(monkeypatch, changed):
    monkeypatch.setattr(launch, 'get_device', lambda: 'cuda')
    assert type_name(training(PURE, '--amp', 'float16').cfg.optim_wrapper) == 'AmpOptimWrapper'
    config = changed('optim_wrapper.type = ApexOptimWrapper', 'from mmengine.optim import ApexOptimWrapper')
    with pytest.raises(LaunchError, match="optim_wrapper.type is 'ApexOptimWrapper'"):
        training(config, '--amp', 'float16')


def test_options_for_testing_a_detector(folder, monkeypatch):
    (folder / 'detector.py').write_text(
        'from mmdet.engine import DetVisualizationHook\n'
        'from mmdet.evaluation import CocoMetric\n'
        'from mmdet.models import MaskRCNN\n'
        'model = dict(type=MaskRCNN)\n'
        'default_hooks = dict(visualization=dict(type=DetVisualizationHook))\n'
        'test_evaluator = dict(type=CocoMetric)\n'
    )
    torch.save({}, 'file.pth')
    monkeypatch.setattr(launch, '_build', lambda cfg: SimpleNamespace(cfg=cfg, model=nn.Identity(), test_loop=None))
    cfg = launch.runner_to_test(read_config('detector.py'), 'file.pth', out='out.pkl', show_dir='drawn').cfg
    hook = cfg.default_hooks.visualization
    assert (hook.draw, hook.test_out_dir) == (True, 'drawn')
    assert [type_name(metric) for metric in cfg.test_evaluator] == ['CocoMetric', 'DumpDetResults']


def test_any_backbone_by_its_class(changed):
    imports = 'from mmkw.models import kw_backbone\nfrom mmpretrain.models.backbones import ResNet'
    inner = 'dict(type=ResNet, depth=18, stem_channels=8, base_channels=8)'
    text = f"model.backbone = dict(type=kw_backbone, backbone={inner}, budget='1x', plan_cfg=dict(min_width=8))"
    model = build_model(Config.fromfile(changed(text, imports)))
    assert type(model.backbone).__name__ == 'ConvertedResNet'
    assert hasattr(model.backbone, 'warehouses')


@pytest.mark.parametrize(
    'cfg, scope',
    [
        (dict(default_scope='mmyolo', model=dict(type='mmdet.MaskRCNN')), 'mmyolo'),
        (dict(model=dict(type='mmdet.MaskRCNN')), 'mmdet'),
        (dict(model=dict(type='MaskRCNN')), 'mmengine'),
        (dict(model=dict(type=ResNet)), 'mmpretrain'),
        (dict(model=dict(type=type('Mine', (ResNet,), {}))), 'mmpretrain'),
        (dict(model=dict(type=nn.Identity)), 'mmengine'),
        (dict(), 'mmengine'),
    ],
)
def test_the_library_of_a_config(cfg, scope):
    assert scope_of(Config(cfg)) == scope


@pytest.mark.parametrize('kind', ['ResNet', 'mmpretrain.ResNet', 'mmpretrain.models.backbones.resnet.ResNet', ResNet])
def test_names(kind):
    assert type_name(dict(type=kind)) == 'ResNet'


@pytest.mark.parametrize('entry', [None, {}, 'ResNet', dict(type=None)])
def test_no_name(entry):
    assert type_name(entry) == ''


@pytest.mark.slow
def test_both_train_and_test_alike(folder):
    once = ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1', 'default_hooks.checkpoint.interval=1']
    options = [*once, 'default_hooks.logger.interval=1', 'test_dataloader.batch_size=10']
    outputs = []
    for name, config in (('text', TEXT), ('pure', PURE)):
        trained = run_tool('train.py', config, '--work-dir', name, '--cfg-options', *options, cwd=folder)
        shown = ('--work-dir', 'tested', '--show-dir', f'{name}_drawn', '--cfg-options', *options)
        tested = run_tool('test.py', config, f'{name}/epoch_1.pth', *shown, cwd=folder)
        lines = [line.split('loss: ')[-1] for line in trained.splitlines() if 'Epoch(train)' in line]
        accuracy = [line.split('accuracy/top1: ')[1].split()[0] for line in tested.splitlines() if 'accuracy' in line]
        drawn = sorted(path.name for path in (folder / f'{name}_drawn').glob('**/*.png'))
        outputs.append((lines, accuracy, drawn))
    assert outputs[0] == outputs[1]
    assert all(outputs[0])
