"""The temperature schedule under DistributedDataParallel, with an EMAHook that averages buffers."""

import json
import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from small_training import EPOCH, LAYERS, make_runner, published

from running import free_port


def worker(rank, port, folder, method):
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), WORLD_SIZE='2', LOCAL_RANK=str(rank))
    dist.init_process_group('gloo', f'tcp://127.0.0.1:{port}', rank=rank, world_size=2)
    wrapper = dict(type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False)
    runner = make_runner(
        Path(folder),
        dict(end=2),
        val=True,
        layer=LAYERS[method](),
        launcher='pytorch',
        cfg=dict(model_wrapper_cfg=wrapper),
        hooks=[dict(type='EMAHook', momentum=0.1, update_buffers=True)],
    )
    runner.train()
    model = runner.model.module
    found = [len(runner.train_dataloader), model.temperatures(training=True), model.temperatures(training=False)]
    Path(folder, f'{rank}.json').write_text(json.dumps(found))
    dist.barrier()
    os._exit(0)  # gloo's threads abort an ordinary exit now and then: terminate without an active exception


@pytest.mark.slow
@pytest.mark.parametrize('method', LAYERS)
def test_two_processes(tmp_path, method):
    mp.spawn(worker, (free_port(), str(tmp_path), method), nprocs=2)
    epoch = EPOCH // 2  # each process has half of the data
    taus = published(2 * epoch, 3 * epoch, method)
    validated = pytest.approx([tau for tau in taus[epoch - 1 :: epoch] for _ in range(epoch)])
    for rank in range(2):
        assert json.loads((tmp_path / f'{rank}.json').read_text()) == [epoch, pytest.approx(taus), validated]
