"""Convert a published KernelWarehouse checkpoint to an mmkw one.

python tools/convert_checkpoint.py kw1x_resnet50.pth checkpoints/kw1x_r50_mmkw.pth \
    --config configs/imagenet/kw1x_r50_in1k.py
"""

import argparse
import sys

from mmkw.checkpoints import convert_published


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', help='the published file')
    parser.add_argument('target', help='the file to write')
    parser.add_argument('--config', required=True, help='config of the classifier or detector that it is for')
    parser.add_argument('--ema', action='store_true', help='take the averaged weights (`model_ema`)')
    parser.add_argument('--publish', action='store_true', help="put 8 digits of the file's SHA-256 into its name")
    args = parser.parse_args()
    try:
        written = convert_published(args.source, args.target, args.config, args.ema, args.publish)
    except (FileNotFoundError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    print(f'wrote {written}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
