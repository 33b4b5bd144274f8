"""Training checkpoints load with weights_only on, and nothing else does."""

import io
import os
from pickle import UnpicklingError

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

import mmkw  # noqa: F401  (it allows what training checkpoints hold)

NUMBERS = '?' + np.typecodes['AllInteger'] + np.typecodes['AllFloat']


class Calls:
    """Is pickled as a function call, as the objects in a malicious checkpoint are."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def reload(value, change=bytes):
    file = io.BytesIO()
    torch.save({'value': value}, file, _use_new_zipfile_serialization=False)
    return torch.load(io.BytesIO(change(file.getvalue())), weights_only=True)['value']


def test_a_log_keeps_its_numbers():
    log = HistoryBuffer()
    log.update(1.5, 1)
    log.update(3, 2)
    assert reload(log).data[0].tolist() == [1.5, 3.0]
    assert reload(log).statistics('mean', 2) == 1.5


@pytest.mark.parametrize('code', NUMBERS)
def test_a_scalar_keeps_type_and_value(code):
    number = np.dtype(code).type(1)
    assert reload(number) == number
    assert type(reload(number)) is np.dtype(np.dtype(code).str).type


@pytest.mark.parametrize('array', [np.arange(6.0).reshape(2, 3).T, np.arange(3, dtype='>i4'), np.ones((1, 4), bool)])
def test_an_array_keeps_shape_and_values(array):
    loaded = reload(array)
    assert type(loaded) is np.ndarray
    assert loaded.shape == array.shape
    assert (loaded == array).all()


def test_arrays_written_by_numpy_1_load():
    def as_numpy_1(data):
        return data.replace(b'cnumpy._core.multiarray\n', b'cnumpy.core.multiarray\n')

    assert reload([np.arange(3), np.float64(2)], as_numpy_1)[0].tolist() == [0, 1, 2]


def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path):
    trace, checkpoint = tmp_path / 'trace', str(tmp_path / 'checkpoint.pth')
    torch.save({'state_dict': Calls(os.mkdir, str(trace))}, checkpoint)
    with pytest.raises(UnpicklingError, match='mkdir'):
        CheckpointLoader.load_checkpoint(checkpoint)
    assert not trace.exists()


def test_getattr_reaches_nothing_but_the_statistics_of_a_log():
    with pytest.raises(UnpicklingError, match='__globals__'):
        reload(Calls(getattr, Calls(getattr, HistoryBuffer, 'mean'), '__globals__'))


@pytest.mark.parametrize('kind', [np.dtype('O'), np.dtype([('field', 'O')])])
def test_arrays_of_objects_are_refused(kind):
    with pytest.raises(UnpicklingError, match='only numbers'):
        reload(np.zeros(1, kind))


def test_bytes_do_not_become_pointers():
    assert reload(Calls(np.ndarray, (1,), 'O', bytearray(8))).dtype == float
