"""Write the start of a dynamic network (KernelWarehouse, ODConv, ...) from a plain checkpoint.

python tools/warm_start.py torchvision://resnet50 checkpoints/kw1x_r50_warm.pth \
    --config configs/imagenet/kw1x_r50_in1k.py
"""

import argparse

from command_line import or_exit
from mmkw.checkpoints import convert_plain


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', help='plain checkpoint: a file, torchvision://NAME or https://...')
    parser.add_argument('target', help='the file to write')
    parser.add_argument(
        '--config', required=True, help='config of the classifier or detector with the dynamic backbone'
    )
    parser.add_argument('--seed', type=int, default=0, help='of what the plain network has not (default: 0)')
    args = parser.parse_args()
    with or_exit(FileNotFoundError, ValueError):
        written = convert_plain(args.source, args.target, args.config, args.seed)
    print(f'wrote {written}')


if __name__ == '__main__':
    main()
