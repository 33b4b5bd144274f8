"""tools/dist_train.sh on two machines, which are two runs of it on this one."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from running import TINY_MASK_RCNN, free_port, run_tool

pytestmark = pytest.mark.slow


def test_two_machines_train_as_one(trained):
    port = free_port()

    def machine(rank):
        once = ('--cfg-options', 'env_cfg.dist_cfg.backend=gloo', 'train_cfg.max_epochs=1')
        where = dict(NNODES='2', NODE_RANK=str(rank), MASTER_ADDR='127.0.0.1', PORT=port)
        return run_tool('dist_train.sh', TINY_MASK_RCNN, 1, '--work-dir', 'machines', *once, cwd=trained, **where)

    with ThreadPoolExecutor(2) as both:
        logs = list(both.map(machine, range(2)))
    assert 'GPU number: 2' in logs[0]
    assert 'Epoch(val) [1][2/2]' in logs[0]  # 4 images
    assert os.path.isfile(trained / 'machines' / 'epoch_1.pth')
