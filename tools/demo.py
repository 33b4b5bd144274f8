"""Make a small data set, train a KernelWarehouse Mask R-CNN on it, draw figures, and print box AP and mask AP."""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from mmkw.demo import figures, shapes

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / 'configs' / 'demo' / 'mask_rcnn_kw_mbv2_shapes.py'
ROWS = {
    'AP': 'mAP',
    'AP, IoU 0.50': 'mAP_50',
    'AP, IoU 0.75': 'mAP_75',
    'AP, small (< 32 x 32)': 'mAP_s',
    'AP, medium': 'mAP_m',
    'AP, large (> 96 x 96)': 'mAP_l',
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seed', type=int, default=0, help='seed of the data and of the training (default: 0)')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/demo'), help='default: work_dirs/demo')
    parser.add_argument('--data', type=Path, default=Path('data/shapes'), help='default: data/shapes')
    parser.add_argument('--train', type=int, default=240, help='number of training images (default: 240)')
    parser.add_argument('--val', type=int, default=60, help='number of held-out images (default: 60)')
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='passed on to tools/train.py')
    args = parser.parse_args()
    start = time.monotonic()

    print(f'1/3 data: {args.train} training and {args.val} held-out images in {args.data}', flush=True)
    try:
        shapes.generate(args.data, args.seed, args.train, args.val)
    except (ValueError, FileExistsError) as error:
        parser.error(str(error))

    print(f'2/3 training and evaluation, about 5 minutes on two CPU cores; logs in {args.work_dir}', flush=True)
    predictions = args.work_dir / 'predictions'
    train(CONFIG, args.work_dir, options_for(args, predictions))

    print('3/3 figures', flush=True)
    scalars = figures.read_scalars(max(args.work_dir.glob('*/vis_data/scalars.json')))
    curves, pictures = args.work_dir / 'curves.png', args.work_dir / 'predictions.png'
    figures.save(figures.plot_curves(scalars), curves)
    annotations = args.data / 'annotations' / 'instances_val.json'
    figures.save(figures.plot_predictions(annotations, args.data / 'val', f'{predictions}.segm.json'), pictures)
    print(f'    {curves}\n    {pictures}\n')

    print(f'{"seed " + str(args.seed):24}{"box":>8}{"mask":>8}')
    for name, key in ROWS.items():
        box, mask = (scalars[f'coco/{kind}_{key}'][-1][1] for kind in ('bbox', 'segm'))
        print(f'{name:24}{box:8.3f}{mask:8.3f}')
    print(f'\n{(time.monotonic() - start) / 60:.1f} minutes in all')


def options_for(args: argparse.Namespace, predictions: Path) -> list[str]:
    """Options for tools/train.py; with these, the last validation writes the predictions."""
    annotations = args.data / 'annotations' / 'instances_val.json'
    return [
        f'randomness.seed={args.seed}',
        f'train_dataloader.dataset.data_root={args.data}',
        f'val_dataloader.dataset.data_root={args.data}',
        f'val_evaluator.ann_file={annotations}',
        f'val_evaluator.outfile_prefix={predictions}',
        *args.cfg_options,
    ]


def train(config: Path, work_dir: Path, options: list[str]) -> None:
    """Run tools/train.py, and end the program if it fails."""
    command = [sys.executable, ROOT / 'tools' / 'train.py', config, '--work-dir', work_dir, '--cfg-options']
    code = subprocess.run([*command, *options], check=False).returncode
    if code:
        sys.exit(f'training ended with exit status {code}; the reason is above')


if __name__ == '__main__':
    main()
