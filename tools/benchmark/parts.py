"""Show in milliseconds where the time of a KernelWarehouse backbone's step goes, beside the plain network's step.

python tools/benchmark/parts.py r50,1x,train,2,480x640

It measures on a CPU, where a call returns when its work is done. `rest` is norms, activations, pooling, plain layers,
and the backward pass of attentions.
"""

import argparse
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.append(str(Path(__file__).parents[1]))

from keep_memory import keep_memory  # noqa: E402

if __name__ == '__main__':
    keep_memory()

import torch  # noqa: E402

from arguments import check_counts, workload  # noqa: E402
from measure import Setting, build_step, seconds_of  # noqa: E402
from mmkw.layers import KWAttention  # noqa: E402
from mmkw.ops import factored, gather, mixture  # noqa: E402

# Part -> the functions that do it, in the direct and in the factored form.
PARTS = {
    'mixing bases': [(factored, 'mix_basis')],
    'mixing kernels': [(mixture, '_mix'), (factored, 'mixed_kernels')],
    'convolution': [(mixture, 'convolve'), (factored, 'convolve')],
    'gradient of the input': [(mixture, 'input_gradient'), (factored, 'input_gradient')],
    'gradient of the kernels': [(mixture, 'kernel_gradient'), (factored, 'kernel_gradient')],
    'gradient of the cells': [(gather.CellGradient, '_multiply')],
    'gradient of alpha, code and basis': [(mixture, 'product'), (factored, 'product'), (factored, 'stacked_product')],
    'attention': [(KWAttention, 'weights')],
}


@contextmanager
def timed(seconds: Counter) -> Iterator[None]:
    """Add up the seconds that each part takes. A part that is called within another counts as the other."""
    running = False

    def wrap(name: str, function: Callable) -> Callable:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal running
            if running:
                return function(*args, **kwargs)
            running, start = True, time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                running = False
                seconds[name] += time.perf_counter() - start

        return wrapped

    with ExitStack() as stack:
        for name, functions in PARTS.items():
            for owner, attribute in functions:
                stack.enter_context(mock.patch.object(owner, attribute, wrap(name, getattr(owner, attribute))))
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('row', type=workload, help='BACKBONE,METHOD,train|test,BATCH,HEIGHTxWIDTH[,MB]')
    parser.add_argument('--repeat', type=int, default=3, help='timed runs (default: 3)')
    parser.add_argument('--threads', type=int, help="default: torch's")
    args = parser.parse_args()
    check_counts(parser, repeat=args.repeat, threads=args.threads)
    setting = Setting(threads=args.threads)
    setting.prepare()
    steps = {variant: build_step(variant, args.row, setting)[1] for variant in ('plain', 'method')}
    runs: list[Counter] = []
    for run in range(args.repeat + 1):
        seconds: Counter = Counter()
        plain = seconds_of(steps['plain'])
        with timed(seconds):
            method = seconds_of(steps['method'])
        seconds['rest'] = method - seconds.total()
        seconds['plain, whole step'], seconds['method, whole step'] = plain, method
        if run:  # the first warms up
            runs.append(seconds)
    print(f'torch {torch.__version__}, {torch.get_num_threads()} threads, {args.row}\n| part | ms |\n|---|---|')
    for name in ('plain, whole step', 'method, whole step', *PARTS, 'rest'):
        print(f'| {name} | {1e3 * statistics.median(run[name] for run in runs):.0f} |')


if __name__ == '__main__':
    main()
