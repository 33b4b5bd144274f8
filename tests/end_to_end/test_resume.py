"""A training of 4 epochs equals a training of 2 epochs that is resumed to 4."""

import shutil

import pytest
import torch

import mmkw  # noqa: F401  (without it torch.load refuses training checkpoints)
from running import TINY_MASK_RCNN, run_tool


@pytest.fixture(scope='module')
def checkpoints(trained):
    """Checkpoints of the uninterrupted and the resumed training after 4 epochs, read with weights_only."""
    stopped = trained / 'resumed'
    stopped.mkdir()
    shutil.copy(trained / 'whole' / 'epoch_2.pth', stopped)
    (stopped / 'last_checkpoint').write_text('epoch_2.pth')
    run_tool('train.py', TINY_MASK_RCNN, '--work-dir', 'resumed', '--resume', cwd=trained)
    return [torch.load(trained / run / 'epoch_4.pth', weights_only=True) for run in ('whole', 'resumed')]


def flat(value, name=''):
    if isinstance(value, dict):
        value = list(value.items())
    elif isinstance(value, (list, tuple)):
        value = list(enumerate(value))
    else:
        return {name: value}
    return {key: leaf for part, child in value for key, leaf in flat(child, f'{name}.{part}').items()}


def same(a, b):
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


# ema_state_dict holds the trained weights, state_dict their moving average: mmengine swaps them when it saves.
@pytest.mark.slow
@pytest.mark.parametrize('part', ['ema_state_dict', 'state_dict', 'optimizer', 'param_schedulers'])
def test_bit_for_bit(checkpoints, part):
    whole, resumed = (flat(checkpoint[part]) for checkpoint in checkpoints)
    assert whole.keys() == resumed.keys()
    assert [name for name in whole if not same(whole[name], resumed[name])] == []


@pytest.mark.slow
def test_it_did_train_after_resuming(checkpoints, trained):
    before = torch.load(trained / 'whole' / 'epoch_2.pth', weights_only=True)['ema_state_dict']
    after = checkpoints[1]['ema_state_dict']
    warehouses = [name for name in after if 'warehouses.stage' in name]
    assert warehouses
    assert not any(torch.equal(before[name], after[name]) for name in warehouses)


@pytest.mark.slow
def test_the_log_goes_on(checkpoints):
    logs = [checkpoint['message_hub']['log_scalars']['train/loss'].data[0] for checkpoint in checkpoints]
    assert logs[0].tolist() == logs[1].tolist()
