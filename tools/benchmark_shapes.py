"""Times the choices that mixture_conv makes, for every distinct layer of a KernelWarehouse backbone on a CPU.

python tools/benchmark_shapes.py r50,1x,train,2,480x640

Milliseconds, forward and backward together: `plain` the plain convolution; `product` the kernels and both gradients by
one matrix product each over whole cells, `slabs` the same by slabs; then the whole operation as one `grouped`
convolution, for pointwise layers also as matrix products by `blocks` of the kernel and with the `whole` kernel, and, of
the chosen one, with the kernels `kept` from the forward pass; `parts` is how many parts the kernels are mixed in. `*`
marks what mixture_conv chooses.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

from keep_memory import keep_memory

if __name__ == '__main__':
    keep_memory()

import torch  # noqa: E402

from benchmark import workload  # noqa: E402
from mmkw.benchmark import Setting, Workload, build_step  # noqa: E402
from mmkw.layers import KWConvNd  # noqa: E402
from mmkw.ops import mixture_conv  # noqa: E402

MODULE = 'mmkw.ops.mixture'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('row', type=workload, help='BACKBONE,BUDGET,train|test,BATCH,HEIGHTxWIDTH')
    parser.add_argument('--repeat', type=int, default=3, help='default: 3')
    args = parser.parse_args()
    if args.repeat < 1:
        parser.error(f'--repeat must be at least 1, got {args.repeat}')
    print('| kernel, input, cells | layers | plain | product | slabs | grouped | blocks | whole | kept | parts |')
    print('|' + '---|' * 10)
    for (layer, shape), count in distinct_layers(args.row).items():
        print(line(layer, shape, count, args.repeat), flush=True)


def distinct_layers(row: Workload) -> dict[tuple[KWConvNd, tuple[int, ...]], int]:
    """A layer and its input shape for every kind that the backbone has, and how many of it there are."""
    model, _ = build_step('kw', row, Setting())
    kinds: dict[tuple, list] = {}

    def note(layer: KWConvNd, inputs: Any) -> None:
        shape = tuple(inputs[0].shape)
        kind = (layer.kernel_shape, layer.cells.shape, layer.stride, shape)
        kinds.setdefault(kind, [layer, shape, 0])[2] += 1

    for module in model.modules():
        if isinstance(module, KWConvNd):
            module.register_forward_pre_hook(note)
    with torch.no_grad():
        model(torch.zeros(row.batch, 3, row.height, row.width))
    return {(layer, shape): count for layer, shape, count in kinds.values()}


def line(layer: KWConvNd, shape: tuple[int, ...], count: int, repeat: int) -> str:
    """The row of the table of one kind of layer."""
    x, cells, batch = torch.randn(shape, requires_grad=True), layer.cells, shape[0]
    m, n = layer.start.shape
    alpha = (torch.randn(batch, m, n) / n).requires_grad_()
    geometry = (layer.kernel_shape, None, layer.stride, layer.padding, layer.dilation, layer.groups)
    weight = torch.randn(layer.kernel_shape, requires_grad=True)
    conv = getattr(torch.nn.functional, f'conv{layer.dims}d')

    def median(function: Callable[[], Any]) -> float:
        function()
        times = []
        for _ in range(repeat):
            start = time.perf_counter()
            function()
            times.append(time.perf_counter() - start)
        return 1e3 * statistics.median(times)

    def both_ways(function: Callable[[], torch.Tensor], *inputs: torch.Tensor) -> float:
        return median(lambda: torch.autograd.grad(function().sum(), inputs))

    def whole(chosen: type, keep: int) -> float:
        def choose(x, cells, kernel, stride, padding, dilation, groups):  # noqa: ANN001, ANN202
            parts = _choose(x, cells, kernel, stride, padding, dilation, groups)
            rest = (stride,) if chosen in (_Pointwise, _Whole) else (stride, padding, dilation, groups)
            return chosen(x, cells, kernel, -(-parts.co // parts.part_rows), *rest)

        with mock.patch(f'{MODULE}._choose', choose), mock.patch(f'{MODULE}.KEEP_UP_TO', keep):
            return both_ways(lambda: mixture_conv(x, alpha, cells, *geometry), x, alpha, cells)

    with torch.no_grad():
        rows, flat = alpha.reshape(-1, n), cells.reshape(n, -1).contiguous()
        mixed = rows @ flat
        product = median(lambda: (rows @ flat, mixed @ flat.t(), rows.t() @ mixed))
        slabs = cells.flatten(2).transpose(0, 1)
        mixed = mix(rows, slabs)
        with mock.patch(f'{MODULE}.SLAB_FROM', 0):
            by_slabs = median(lambda: (mix(rows, slabs), mix_grad(mixed, slabs), mix(rows.t(), mixed)))
    chosen = _choose(x.detach(), cells.detach(), *(geometry[:1] + geometry[2:]))
    ways = {_Grouped: 'grouped', _Pointwise: 'blocks', _Whole: 'whole'}
    times = {name: whole(way, 0) for way, name in ways.items() if way is _Grouped or type(chosen) is not _Grouped}
    best = ways[type(chosen)]
    texts = {name: f'{value:.1f}{"*" if name == best else ""}' for name, value in times.items()}
    kernel = 'x'.join(map(str, layer.kernel_shape))
    return (
        '| '
        + ' | '.join(
            (
                f'{kernel}, {"x".join(map(str, shape))}, {"x".join(map(str, cells.shape[:3]))}',
                str(count),
                f'{both_ways(lambda: conv(x, weight, None, *geometry[2:]), x, weight):.1f}',
                f'{product:.1f}{"*" if slabs.shape[2] < SLAB_FROM else ""}',
                f'{by_slabs:.1f}{"*" if slabs.shape[2] >= SLAB_FROM else ""}',
                texts['grouped'],
                texts.get('blocks', '-'),
                texts.get('whole', '-'),
                f'{whole(type(chosen), batch):.1f}',
                str(len(list(chosen.parts()))),
            )
        )
        + ' |'
    )


if __name__ == '__main__':
    main()
