"""Time the choices that mixture_conv makes, for every distinct layer of a KernelWarehouse backbone on a CPU.

python tools/benchmark/shapes.py r50,1x,train,2,480x640

The table has milliseconds, forward and backward together. `plain` is the plain convolution, and `KW` the operation with
its own choices. Each further column forces one choice:

    MKL               MKL's matrix product instead of oneDNN's
    batch, single     matrix products of all samples at once, or one by one
    grouped, patches  the gradient of windowed kernels as a convolution, or as a product with the input's patches
    kept, again       kernels kept for the backward pass, or mixed again
    quarter           kernels mixed in parts of a quarter of the memory

Runs alternate. `-` means that the choice does not arise.
"""

import argparse
import statistics
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.append(str(Path(__file__).parents[1]))

from keep_memory import keep_memory  # noqa: E402

if __name__ == '__main__':
    keep_memory()

import torch  # noqa: E402

from arguments import check_counts, workload  # noqa: E402
from measure import Setting, Workload, build_step, seconds_of  # noqa: E402
from methods import METHODS  # noqa: E402
from mmkw.layers import KWConvNd, dynamic_layers  # noqa: E402
from mmkw.ops import convolve, kernels, mixture, mixture_conv, products  # noqa: E402

NEVER = 2**62
CHOICES: dict[str, dict[tuple[Any, str], Any]] = {
    'MKL': {(products, '_ONEDNN'): None},
    'batch': {(products, 'ONE_BY_ONE_FROM'): NEVER},
    'single': {(products, 'ONE_BY_ONE_FROM'): 0},
    'grouped': {(convolve, 'PATCHES_FROM'): NEVER},
    'patches': {(convolve, 'PATCHES_FROM'): 0},
    'kept': {(mixture, 'KEEP_UP_TO'): NEVER},
    'again': {(mixture, 'KEEP_UP_TO'): 0},
    'quarter': {(kernels, 'PART_BYTES'): kernels.PART_BYTES // 4},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('row', type=workload, help='BACKBONE,BUDGET,train|test,BATCH,HEIGHTxWIDTH')
    parser.add_argument('--repeat', type=int, default=3, help='timed runs (default: 3)')
    args = parser.parse_args()
    check_counts(parser, repeat=args.repeat)
    if args.row.method in METHODS:
        parser.error(f'shapes.py looks at KernelWarehouse layers: give a budget in place of {args.row.method}')
    names = ('kernel, input, cells', 'layers', 'plain', 'KW', *CHOICES)
    print('| ' + ' | '.join(names) + ' |\n|' + '---|' * len(names))
    for (layer, shape), count in distinct_layers(args.row).items():
        kernel, cells = ('x'.join(map(str, sizes)) for sizes in (layer.kernel_shape, layer.cells.shape[:3]))
        times = [f'{one:.1f}' if one else '-' for one in times_of(layer, shape, args.repeat).values()]
        print(
            '| ' + ' | '.join((f'{kernel}, {"x".join(map(str, shape))}, {cells}', str(count), *times)) + ' |',
            flush=True,
        )


def distinct_layers(row: Workload) -> dict[tuple[KWConvNd, tuple[int, ...]], int]:
    """One layer of each kind that the backbone has, with its input shape -> the number of layers of this kind."""
    model, _ = build_step('method', row, Setting())
    kinds: dict[tuple, list] = {}

    def note(layer: KWConvNd, inputs: Any) -> None:
        shape = tuple(inputs[0].shape)
        kind = (layer.kernel_shape, layer.cells.shape, layer.stride, shape)
        kinds.setdefault(kind, [layer, shape, 0])[2] += 1

    for layer in dynamic_layers(model).values():
        layer.register_forward_pre_hook(note)
    with torch.no_grad():
        model(torch.zeros(row.batch, 3, row.height, row.width))
    return {(layer, shape): count for layer, shape, count in kinds.values()}


def times_of(layer: KWConvNd, shape: tuple[int, ...], repeat: int) -> dict[str, float]:
    """Median milliseconds of the plain convolution, of the operation, and of the operation with each choice forced."""
    x, cells = torch.randn(shape, requires_grad=True), layer.cells
    m, n = layer.beta.shape
    alpha = (torch.randn(shape[0], m, n) / n).requires_grad_()
    geometry = (None, layer.stride, layer.padding, layer.dilation, layer.groups)
    weight = torch.randn(layer.kernel_shape, requires_grad=True)
    conv = getattr(torch.nn.functional, f'conv{layer.dims}d')

    def plain() -> None:
        torch.autograd.grad(conv(x, weight, *geometry).sum(), (x, weight))

    def kw() -> None:
        torch.autograd.grad(mixture_conv(x, alpha, cells, layer.kernel_shape, *geometry).sum(), (x, alpha, cells))

    # Depthwise layers have neither of the two choices; pointwise and windowed layers have one of them.
    is_pointwise = weight[0, 0].numel() == 1
    left_out = {'grouped', 'patches'} if is_pointwise else {'batch', 'single'}
    if layer.groups > 1:
        left_out = {'grouped', 'patches', 'batch', 'single'}
    settings = {'plain': {}, 'KW': {}, **CHOICES}
    seconds: dict[str, list[float]] = {name: [] for name in settings if name not in left_out}
    for run in range(repeat + 1):
        for name, times in seconds.items():
            took = timed(plain if name == 'plain' else kw, settings[name])
            if run:  # the first warms up
                times.append(took)
    return {name: 1e3 * statistics.median(seconds[name]) if name in seconds else 0.0 for name in settings}


def timed(function: Callable[[], None], setting: dict[tuple[Any, str], Any]) -> float:
    """Seconds of a call while attributes of modules have other values."""
    with ExitStack() as stack:
        for (module, name), value in setting.items():
            stack.enter_context(mock.patch.object(module, name, value))
        return seconds_of(function)


if __name__ == '__main__':
    main()
