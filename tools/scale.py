"""Print what training a config takes on each GPU, from the shapes of its model: memory and traffic between GPUs.

python tools/scale.py configs/imagenet/kw1x_r50_in1k.py configs/mask_rcnn_kw_r50_1x_coco.py --gpus 8
"""

import argparse
import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from command_line import or_exit
from mmkw.config import read_config
from mmkw.layers import DynamicConvNd, dynamic_layers
from mmkw.ops.kernels import PART_BYTES
from mmkw.ops.mixture import KEEP_UP_TO

FLOAT = 4  # bytes: weights, gradients and the optimizer's averages are in float32, with --amp too
AVERAGES = {'AdamW': 2, 'Adam': 2, 'SGD': 1}  # values of the optimizer for each trained one; SGD with momentum


@dataclass
class Needs:
    """Bytes on each GPU of a training with DistributedDataParallel.

    Args:
        batch: Images on each GPU, as the config says.
        parameters: All weights, and their moving average where the config keeps one.
        gradients: Gradients of what is trained. DDP's buckets hold them; they are counted once.
        optimizer: What the optimizer keeps.
        all_kernels: Kernels of all dynamic layers for the whole batch, if they were all kept.
        kernels: What KernelWarehouse keeps of them at most: all for a small batch, else a few samples of one layer.
        sent: What each GPU sends in a step, and receives, in a ring.
        shared: Part of the gradients that belongs to banks that several layers share, such as warehouses.
    """

    batch: int
    parameters: int
    gradients: int
    optimizer: int
    all_kernels: int
    kernels: int
    sent: int
    shared: int


def needs(config: Config, gpus: int = 8) -> Needs:
    """Count from the shapes of a config's model; nothing is allocated.

    Args:
        config: A config as :func:`mmkw.config.read_config` returns it.
        gpus: How many GPUs train. Default: 8.

    Raises:
        ValueError: If there is no GPU, or the optimizer is unknown.
    """
    if gpus < 1:
        raise ValueError(f'--gpus must be 1 or more, got {gpus}')
    optimizer = config.optim_wrapper.optimizer.type
    if optimizer not in AVERAGES:
        raise ValueError(f'{config.filename}: what {optimizer} keeps is not known, only {", ".join(AVERAGES)}')
    # mmpretrain reads its stochastic depth rates from a tensor.
    on_cpu = mock.patch('torch.linspace', functools.partial(torch.linspace, device='cpu'))
    with torch.device('meta'), on_cpu, DefaultScope.overwrite_default_scope(config.default_scope):
        model = MODELS.build(config.model).train()
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    layers = dynamic_layers(model).values()
    kernels = [FLOAT * math.prod(layer.kernel_shape) for layer in layers if isinstance(layer, DynamicConvNd)]
    banks = [layer.bank for layer in layers if layer.bank is not None]
    shared = {id(bank): bank.numel() for bank in banks if sum(other is bank for other in banks) > 1}
    batch, largest = config.train_dataloader.batch_size, max(kernels, default=0)
    copies = 1 + any(hook.get('type') == 'EMAHook' for hook in _hooks(config))
    return Needs(
        batch=batch,
        parameters=FLOAT * copies * sum(p.numel() for p in model.parameters()),
        gradients=FLOAT * trained,
        optimizer=FLOAT * AVERAGES[optimizer] * trained,
        all_kernels=batch * sum(kernels),
        kernels=batch * sum(kernels) if batch <= KEEP_UP_TO else min(batch * largest, max(PART_BYTES, largest)),
        sent=round(FLOAT * trained * 2 * (gpus - 1) / gpus),
        shared=FLOAT * sum(shared.values()),
    )


def _hooks(config: Config) -> list[Mapping[str, Any]]:
    return config.get('custom_hooks') or []


def row(name: str, counted: Needs) -> str:
    """A row of the table that :func:`main` prints."""
    values = (
        counted.parameters,
        counted.gradients,
        counted.optimizer,
        counted.all_kernels,
        counted.kernels,
        counted.sent,
    )
    share = f'{counted.shared / counted.gradients:.0%}' if counted.shared else '-'
    return f'| `{name}` | {counted.batch} | ' + ' | '.join(f'{value / 1e6:,.0f}' for value in values) + f' | {share} |'


HEAD = """\
| config | images | weights | gradients | optimizer | kernels, all layers | kept at once | sent | shared |
|---|---|---|---|---|---|---|---|---|"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='+')
    parser.add_argument('--gpus', type=int, default=8, help='how many train together (default: 8)')
    args = parser.parse_args()
    with or_exit():
        rows = []
        for path in args.configs:
            config = read_config(path)
            rows.append(row(path.removesuffix('.py').removeprefix('configs/'), needs(config, args.gpus)))
    print(HEAD, *rows, sep='\n')


if __name__ == '__main__':
    main()
