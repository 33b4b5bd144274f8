"""Write the start of a KernelWarehouse network from a plain checkpoint.

python tools/warm_start.py torchvision://resnet50 checkpoints/kw1x_r50_warm.pth \
    --config configs/imagenet/kw1x_r50_in1k.py
"""

import argparse
import sys

from mmkw.checkpoints import convert_plain


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', help='plain checkpoint: a file, torchvision://NAME or https://...')
    parser.add_argument('target', help='the file to write')
    parser.add_argument('--config', required=True, help='config of the classifier or detector with the KW backbone')
    parser.add_argument('--seed', type=int, default=0, help='of what the plain network has not (default: 0)')
    args = parser.parse_args()
    try:
        written = convert_plain(args.source, args.target, args.config, args.seed)
    except (FileNotFoundError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    print(f'wrote {written}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
