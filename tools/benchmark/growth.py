"""How the cost of KernelWarehouse grows with batch, budget and image size: measures, and draws docs/growth.png.

python tools/benchmark/growth.py docs/growth.png --threads 2
"""

import argparse
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from keep_memory import keep_memory  # noqa: E402

if __name__ == '__main__':
    keep_memory()

from arguments import check_counts  # noqa: E402
from measure import Setting, Workload, build_step, seconds_of  # noqa: E402

# Panel -> its axis, and the rows of each line: (value on the axis, budget, batch, size).
PANELS = {
    'batch, 224 x 224': [(batch, batch, 224) for batch in (2, 4, 8, 16, 32)],
    'image size, batch 2': [(size, 2, size) for size in (128, 224, 384, 512)],
}
BUDGETS = ('1x', '2x', '4x')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('picture', type=Path)
    parser.add_argument('--backbone', default='r18')
    parser.add_argument('--repeat', type=int, default=5, help='timed runs of each; the shortest counts (default: 5)')
    parser.add_argument('--threads', type=int, help="default: torch's")
    args = parser.parse_args()
    check_counts(parser, repeat=args.repeat, threads=args.threads)
    setting = Setting(threads=args.threads)
    setting.prepare()
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    modes = ('train', 'test')
    figure, axes = plt.subplots(len(modes), len(PANELS), figsize=(8, 5), squeeze=False, layout='constrained')
    for row, mode in zip(axes, modes):
        for axis, (label, points) in zip(row, PANELS.items()):
            ratios = {budget: [] for budget in BUDGETS}
            for _, batch, size in points:
                for budget, ratio in ratios_of(args.backbone, mode, batch, size, setting, args.repeat).items():
                    ratios[budget].append(ratio)
            for budget, values in ratios.items():
                axis.plot([value for value, *_ in points], values, marker='o', label=budget)
            axis.set(xlabel=label, ylabel='KW / plain', title='train step' if mode == 'train' else 'inference')
            axis.set_ylim(bottom=1)
            axis.legend()
    figure.savefig(args.picture, dpi=80)


def ratios_of(backbone: str, mode: str, batch: int, size: int, setting: Setting, repeat: int) -> dict[str, float]:
    """Budget -> time over that of the plain network, in runs that alternate."""
    works = {budget: Workload(backbone, budget, mode, batch, size, size) for budget in BUDGETS}
    steps = {budget: build_step('method', work, setting)[1] for budget, work in works.items()}
    steps['plain'] = build_step('plain', works['1x'], setting)[1]
    seconds = {name: [] for name in steps}
    for _ in range(repeat + 1):  # the first warms up, and is never the shortest
        for name, step in steps.items():
            seconds[name].append(seconds_of(step))
    ratios = {budget: min(seconds[budget]) / min(seconds['plain']) for budget in BUDGETS}
    print(mode, batch, size, {budget: round(ratio, 2) for budget, ratio in ratios.items()}, flush=True)
    return ratios


if __name__ == '__main__':
    main()
