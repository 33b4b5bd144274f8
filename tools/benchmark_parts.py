"""Where the time of a KernelWarehouse backbone's step goes, in milliseconds, beside the plain network's step.

python tools/benchmark_parts.py r50,1x,train,2,480x640

On a CPU, where a call ends when its work does. `rest` is all outside mixture_conv: norms, activations, attentions,
pooling, plain layers.
"""

import argparse
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from keep_memory import keep_memory

if __name__ == '__main__':
    keep_memory()

import torch  # noqa: E402

from benchmark import workload  # noqa: E402
from mmkw.benchmark import Setting, build_step  # noqa: E402
from mmkw.ops import gather, mixture  # noqa: E402
from mmkw.ops.products import product  # noqa: E402

PARTS = {
    'mixing kernels': (mixture, '_mix'),
    'convolution': (mixture, 'convolve'),
    'gradient of the input': (mixture, 'input_gradient'),
    'gradient of the kernels': (mixture, 'kernel_gradient'),
    'gradient of the cells': (gather.CellGradient, '_multiply'),
}


@contextmanager
def timed(seconds: Counter) -> Iterator[None]:
    """Add up what each part takes."""

    def wrap(name: str, function: Callable) -> Callable:
        def wrapped(*args: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args)
            finally:
                seconds[name] += time.perf_counter() - start

        return wrapped

    def mix(*args: Any) -> Any:
        # Its product is no gradient of alpha.
        with mock.patch.object(mixture, 'product', product):
            return plain_mix(*args)

    plain_mix = mixture._mix
    with ExitStack() as stack:
        for name, (owner, attribute) in PARTS.items():
            function = mix if attribute == '_mix' else getattr(owner, attribute)
            stack.enter_context(mock.patch.object(owner, attribute, wrap(name, function)))
        stack.enter_context(mock.patch.object(mixture, 'product', wrap('gradient of alpha', product)))
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('row', type=workload, help='BACKBONE,BUDGET,train|test,BATCH,HEIGHTxWIDTH')
    parser.add_argument('--repeat', type=int, default=3, help='default: 3')
    parser.add_argument('--threads', type=int, help="default: torch's")
    args = parser.parse_args()
    if args.repeat < 1:
        parser.error(f'--repeat must be at least 1, got {args.repeat}')
    setting = Setting(threads=args.threads)
    setting.prepare()
    steps = {variant: build_step(variant, args.row, setting)[1] for variant in ('plain', 'kw')}
    runs: list[Counter] = []
    for run in range(args.repeat + 1):
        seconds: Counter = Counter()
        for variant, step in steps.items():
            with timed(seconds):
                start = time.perf_counter()
                step()
                seconds[f'{variant}, whole step'] = time.perf_counter() - start
        seconds['rest'] = 2 * seconds['kw, whole step'] + seconds['plain, whole step'] - seconds.total()
        if run:  # the first warms up
            runs.append(seconds)
    print(f'torch {torch.__version__}, {torch.get_num_threads()} threads, {args.row}\n| part | ms |\n|---|---|')
    for name in ('plain, whole step', 'kw, whole step', *PARTS, 'gradient of alpha', 'rest'):
        print(f'| {name} | {1e3 * statistics.median(run[name] for run in runs):.0f} |')


if __name__ == '__main__':
    main()
