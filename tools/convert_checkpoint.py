"""Convert a published checkpoint of KernelWarehouse or ODConv to an mmkw one.

python tools/convert_checkpoint.py kw1x_resnet50.pth checkpoints/kw1x_r50_mmkw.pth \
    --config configs/imagenet/kw1x_r50_in1k.py
"""

import argparse

from command_line import or_exit
from mmkw.checkpoints import convert_published


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', help='the published file')
    parser.add_argument('target', help='the file to write')
    parser.add_argument('--config', required=True, help='config of the classifier or detector that it is for')
    parser.add_argument('--ema', action='store_true', help='take the averaged weights (`model_ema`)')
    parser.add_argument('--publish', action='store_true', help="put 8 digits of the file's SHA-256 into its name")
    args = parser.parse_args()
    with or_exit(FileNotFoundError, ValueError):
        written = convert_published(args.source, args.target, args.config, args.ema, args.publish)
    print(f'wrote {written}')


if __name__ == '__main__':
    main()
