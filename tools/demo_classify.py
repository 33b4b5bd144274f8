"""Train KW-ResNet18 and the plain ResNet18 under the same recipe on real handwritten digits, and compare them."""

import argparse
import time
from pathlib import Path

from demo import ROOT, train
from mmkw.demo import comparison, digits, figures

RUNS = {'plain': 'r18_digits', 'KW 1x': 'kw1x_r18_digits'}
MEANING = """\
This is evidence that a KW network with its temperature schedule trains on real images with the ordinary tools, and goes
on learning after tau has reached 0. It is no evidence of which network is better. Narrow as they are, both learn these
few tiny images by heart, and the one that also has attentions to fit tends to end a point or two behind on the held-out
images. About one point between two trainings is chance. The paper's gains come from 300 epochs on ImageNet."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seed', type=int, default=0, help='seed of both trainings (default: 0)')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/demo_classify'))
    parser.add_argument('--data', type=Path, default=Path('data/digits'), help='default: data/digits')
    parser.add_argument('--train', type=int, default=898, help='number of training images (default: 898)')
    parser.add_argument('--val', type=int, default=899, help='number of held-out images (default: 899)')
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='passed on to tools/train.py')
    args = parser.parse_args()
    start = time.monotonic()

    print(f'1/4 data: {args.train} training and {args.val} held-out digits in {args.data}', flush=True)
    try:
        digits.generate(args.data, args.train, args.val)
    except ModuleNotFoundError as error:
        parser.error(f'{error}: the digits come with scikit-learn; `make setup` installs it')
    except (ValueError, FileExistsError) as error:
        parser.error(str(error))

    runs = {}
    for step, (name, config) in enumerate(RUNS.items(), start=2):
        work_dir = args.work_dir / config
        print(f'{step}/4 training {name}; logs in {work_dir}', flush=True)
        options = [f'randomness.seed={args.seed}']
        options += [f'{part}_dataloader.dataset.data_root={args.data}' for part in ('train', 'val')]
        train(ROOT / 'configs' / 'demo' / f'{config}.py', work_dir, [*options, *args.cfg_options])
        runs[name] = figures.read_scalars(max(work_dir.glob('*/vis_data/scalars.json')))

    print('4/4 figure', flush=True)
    curves = args.work_dir / 'curves.png'
    figures.save(comparison.plot_comparison(runs), curves)
    print(f'    {curves}\n')
    print(f'{"network":12}{"top-1, %":>10}{"tau at the end":>18}')
    for name, scalars in runs.items():
        tau = f'{scalars["temperature"][-1][1]:.3f}' if 'temperature' in scalars else '-'
        print(f'{name:12}{scalars["accuracy/top1"][-1][1]:10.2f}{tau:>18}')
    print(f'\n{MEANING}\n\n{(time.monotonic() - start) / 60:.1f} minutes in all')


if __name__ == '__main__':
    main()
