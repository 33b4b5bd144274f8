"""The options of the tools become a Runner, or a sentence that says why not."""

import shutil
from pickle import UnpicklingError

import cv2
import numpy as np
import pytest
import torch

import train
from command_line import or_exit
from mmkw.config import read_config
from mmkw.engine import LaunchError, launch
from mmkw.models import KWResNet
from running import TINY_CLASSIFIER


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder of its own for each test, with the images of the tiny classifier."""
    for name in ('dark', 'light'):
        (tmp_path / 'images' / name).mkdir(parents=True)
        for number in range(4):
            cv2.imwrite(str(tmp_path / 'images' / name / f'{number}.png'), np.full((32, 32, 3), 60 * number, np.uint8))
    monkeypatch.chdir(tmp_path)
    for name in ('LOCAL_RANK', 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'):
        monkeypatch.setenv(name, '0')  # so that the test's changes to it are undone
    return tmp_path


def training(*options, config=TINY_CLASSIFIER):
    return launch.runner_to_train(**train.arguments([str(config), *map(str, options)]))


def write_checkpoint(path, **changes):
    """A checkpoint that fits the tiny classifier, unless its backbone is changed."""
    backbone = KWResNet(**{**dict(depth=18, stem_channels=16, base_channels=16), **changes})
    path.parent.mkdir(exist_ok=True)
    torch.save(dict(state_dict={f'backbone.{key}': value for key, value in backbone.state_dict().items()}), path)


def write_config(folder, text):
    path = folder / 'changed.py'
    path.write_text(f"_base_ = '{TINY_CLASSIFIER}'\n{text}\n")
    return path


def test_work_dir_is_named_after_the_config(folder):
    assert training().work_dir == str(folder / 'work_dirs' / 'tiny_classifier')


def test_work_dir_option(folder):
    assert training('--work-dir', 'here').work_dir == str(folder / 'here')


def test_cfg_options_change_the_config():
    runner = training('--cfg-options', 'train_cfg.max_epochs=7', 'model.backbone.budget=1/2x')
    assert runner.max_epochs == 7
    assert runner.cfg.model.backbone.budget == '1/2x'


def test_a_missing_config_is_named(folder):
    with pytest.raises(LaunchError, match=f'there is no config nowhere.py .in {folder}'):
        training(config='nowhere.py')


def test_auto_scale_lr_scales_by_the_batch_size(folder):
    config = write_config(folder, 'auto_scale_lr = dict(enable=False, base_batch_size=16)')
    runner = training('--auto-scale-lr', '--cfg-options', 'train_cfg.max_epochs=1', config=config)
    runner.train()
    assert runner.optim_wrapper.get_lr()['lr'] == [pytest.approx(0.01 * 4 / 16)]


def test_auto_scale_lr_needs_a_base_batch_size():
    with pytest.raises(LaunchError, match=r'set auto_scale_lr=dict\(base_batch_size=\.\.\.\)'):
        training('--auto-scale-lr')


def as_on_a_gpu(monkeypatch, capability):
    monkeypatch.setattr(launch, 'get_device', lambda: 'cuda')
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda: capability)


@pytest.mark.parametrize(
    'options, dtype, loss_scale',
    [([], 'bfloat16', 1.0), (['bfloat16'], 'bfloat16', 1.0), (['float16'], 'float16', 'dynamic')],
    ids=['alone', 'bfloat16', 'float16'],
)
def test_amp_changes_the_optimizer_wrapper(monkeypatch, options, dtype, loss_scale):
    as_on_a_gpu(monkeypatch, (8, 0))
    assert training('--amp', *options).cfg.optim_wrapper == dict(
        type='AmpOptimWrapper', dtype=dtype, loss_scale=loss_scale, optimizer=dict(type='SGD', lr=0.01, momentum=0.9)
    )


def test_amp_keeps_a_loss_scale_of_the_config(monkeypatch):
    as_on_a_gpu(monkeypatch, (8, 0))
    assert training('--amp', '--cfg-options', 'optim_wrapper.loss_scale=512.0').cfg.optim_wrapper.loss_scale == 512


def test_amp_in_bfloat16_needs_a_gpu_that_has_it(monkeypatch):
    as_on_a_gpu(monkeypatch, (7, 5))
    with pytest.raises(LaunchError, match='this GPU does not compute in bfloat16; use --amp float16'):
        training('--amp')
    assert training('--amp', 'float16').cfg.optim_wrapper.dtype == 'float16'


def test_the_config_may_follow_a_bare_amp(monkeypatch):
    as_on_a_gpu(monkeypatch, (8, 0))
    cfg = launch.runner_to_train(**train.arguments(['--amp', str(TINY_CLASSIFIER)])).cfg
    assert cfg.optim_wrapper.dtype == 'bfloat16'


@pytest.mark.skipif(torch.cuda.is_available(), reason='for machines without a GPU')
def test_amp_needs_a_gpu():
    with pytest.raises(LaunchError, match='--amp needs a GPU'):
        training('--amp')


def test_amp_takes_no_other_wrapper():
    with pytest.raises(LaunchError, match="optim_wrapper.type is 'ApexOptimWrapper'"):
        training('--amp', '--cfg-options', 'optim_wrapper.type=ApexOptimWrapper')


def test_resume_with_nothing_to_resume_says_so_and_starts(capsys):
    runner = training('--resume')
    assert '--resume: work_dirs/tiny_classifier has no checkpoint yet' in capsys.readouterr().out
    assert not runner._resume


def test_resume_without_checkpoint_keeps_the_weights_to_start_from(folder):
    write_checkpoint(folder / 'start.pth')
    assert training('--resume', '--cfg-options', 'load_from=start.pth')._load_from == 'start.pth'


def test_resume_finds_the_latest_checkpoint_where_the_work_dir_is_now(folder):
    write_checkpoint(folder / 'run' / 'epoch_2.pth')
    (folder / 'run' / 'last_checkpoint').write_text('/where/it/was/epoch_2.pth')
    runner = training('--work-dir', 'run', '--resume')
    assert (runner._resume, runner._load_from) == (True, 'run/epoch_2.pth')


def test_resume_from_a_file_that_is_not_there():
    with pytest.raises(LaunchError, match='missing: epoch_9.pth'):
        training('--resume', 'epoch_9.pth')


def evaluation(checkpoint, config=TINY_CLASSIFIER):
    return launch.runner_to_test(read_config(config), checkpoint)


MISFIT = (
    r'file.pth does not fit KWResNet: it has a ResNet of depth 18, budget b = 2, 4 warehouses \(stage0 to stage3\) '
    r'where the model has a ResNet of depth 18, budget b = 1, 4 warehouses \(stage0 to stage3\) .*$'
)
INIT = "model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='file.pth', prefix='backbone')))"


@pytest.mark.parametrize('way', ['test', 'resume', 'load_from', 'init_cfg'])
def test_weights_of_another_budget_are_refused_before_the_run(folder, way):
    write_checkpoint(folder / 'file.pth', budget='2x')
    with pytest.raises(LaunchError, match=f'^checkpoint {MISFIT}'):
        if way == 'test':
            evaluation('file.pth')
        elif way == 'init_cfg':
            training(config=write_config(folder, INIT))
        else:
            training(*dict(resume=('--resume', 'file.pth'), load_from=('--cfg-options', 'load_from=file.pth'))[way])


def test_weights_that_fit_start(folder):
    write_checkpoint(folder / 'file.pth')
    assert evaluation('file.pth')._load_from == 'file.pth'
    assert training('--resume', 'file.pth')._load_from == 'file.pth'
    training(config=write_config(folder, INIT))


HEAD = {'head.fc.weight': torch.zeros(2, 128), 'head.fc.bias': torch.zeros(2)}


def test_a_head_alone_is_nothing_to_test(folder):
    torch.save(dict(state_dict=HEAD), 'head.pth')
    with pytest.raises(LaunchError, match='head.pth does not fit KWResNet'):
        evaluation('head.pth')
    with pytest.raises(LaunchError, match='head.pth does not fit KWResNet'):
        training('--cfg-options', 'load_from=head.pth')


def test_a_head_alone_may_be_loaded_beside_a_pretrained_backbone(folder):
    write_checkpoint(folder / 'file.pth')
    torch.save(dict(state_dict=HEAD), 'head.pth')
    training('--cfg-options', 'load_from=head.pth', config=write_config(folder, INIT))


def test_a_kw_checkpoint_for_a_plain_config(folder):
    write_checkpoint(folder / 'file.pth')
    with pytest.raises(LaunchError, match='file.pth is of a KernelWarehouse network, and ImageClassifier is plain'):
        evaluation('file.pth', write_config(folder, "model = dict(backbone=dict(type='PlainResNet'))"))


def test_a_damaged_checkpoint_is_one_sentence(folder):
    (folder / 'file.pth').write_bytes(b'PK')
    with pytest.raises(LaunchError, match='checkpoint file.pth cannot be read: it is damaged'):
        evaluation('file.pth')


def test_a_misfit_that_only_loading_finds_ends_the_program_in_the_same_way(monkeypatch):
    monkeypatch.delenv('RANK', raising=False)
    with pytest.raises(SystemExit) as exit, or_exit():
        KWResNet(18).load_state_dict(KWResNet(18, budget=2).state_dict(), strict=False)
    assert exit.value.code.startswith('the checkpoint does not fit KWResNet')


PRETRAINED = "model = dict(backbone=dict(init_cfg=dict(type='PublishedPretrained', checkpoint='gone.pth')))"


NINE = "train_dataloader = dict(dataset=dict(_delete_=True, type='RepeatDataset', times=3, dataset=dict("
NINE += "type='CustomDataset', data_root='three', pipeline=_base_.pipeline)))"


def test_a_last_batch_of_one_is_refused_by_the_built_data_set(folder):
    for number in range(3):
        for kind in ('dark', 'light'):
            (folder / 'three' / kind).mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / 'images' / 'dark' / f'{number}.png', folder / 'three' / 'dark')
    config = write_config(folder, NINE)
    with pytest.raises(LaunchError, match='9 images on 1 GPU, batch_size 4.*set train_dataloader.drop_last=True'):
        training(config=config)
    for change in ('train_dataloader.drop_last=True', 'train_dataloader.batch_size=3', 'model.backbone.norm_eval=True'):
        training('--cfg-options', change, config=config)
    with pytest.raises(LaunchError, match='batch_size is 1'):
        training('--cfg-options', 'train_dataloader.batch_size=1', 'train_dataloader.drop_last=True')


def test_starting_needs_the_pretrained_weights(folder):
    with pytest.raises(LaunchError, match='missing: gone.pth'):
        training(config=write_config(folder, PRETRAINED))


def test_resuming_does_not(folder):
    write_checkpoint(folder / 'epoch_2.pth')
    runner = training('--resume', 'epoch_2.pth', config=write_config(folder, PRETRAINED))
    runner.model.init_weights()
    assert runner.cfg.model.backbone.init_cfg.checkpoint == 'gone.pth'  # the config that is saved keeps it


def test_testing_needs_no_training_data_and_no_pretrained_weights(folder):
    write_checkpoint(folder / 'epoch_2.pth')
    config = write_config(folder, f"{PRETRAINED}\ntrain_dataloader = dict(dataset=dict(data_root='gone'))")
    assert evaluation('epoch_2.pth', config)._load_from == 'epoch_2.pth'


@pytest.mark.parametrize(
    'environment, options, message',
    [
        (dict(), (), 'started by torchrun'),
        (dict(RANK='0'), (), 'nccl needs GPUs.*env_cfg.dist_cfg.backend=gloo'),
    ],
    ids=['without torchrun', 'without GPUs'],
)
@pytest.mark.skipif(torch.cuda.is_available(), reason='for machines without a GPU')
def test_processes_that_cannot_start(monkeypatch, environment, options, message):
    monkeypatch.delenv('RANK', raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(LaunchError, match=message):
        training('--launcher', 'pytorch', *options)


def test_more_processes_than_gpus(monkeypatch):
    monkeypatch.setattr(launch, 'get_device', lambda: 'cuda')
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    monkeypatch.setenv('RANK', '0')
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '8')
    with pytest.raises(LaunchError, match='8 processes were started here, and torch sees 2 GPUs'):
        training('--launcher', 'pytorch')


def test_only_the_first_process_says_why_it_ends(monkeypatch):
    monkeypatch.setenv('RANK', '1')
    with pytest.raises(SystemExit) as exit, or_exit():
        raise LaunchError('why')
    assert exit.value.code == 1


def test_checkpoints_with_code_are_never_read():
    training()
    torch.save(LaunchError('any object'), 'any.pth')
    with pytest.raises(UnpicklingError, match='LaunchError'):
        torch.load('any.pth', weights_only=False)


def test_the_temperature_at_the_start_is_looked_at(folder, capfd):
    training()
    assert 'no hook lowers their temperature' in ''.join(capfd.readouterr())
    write_checkpoint(folder / 'checkpoints' / 'trained.pth')
    hook = write_config(folder, "custom_hooks = [dict(type='TemperatureHook', end=1)]")
    training('--cfg-options', 'load_from=checkpoints/trained.pth', config=hook)
    assert 'the TemperatureHook begins at 1 again' in ''.join(capfd.readouterr())
