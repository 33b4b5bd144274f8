"""Write the demo's data set, a small COCO-format instance-segmentation data set of shapes over textures."""

import argparse

from mmkw.demo.shapes import generate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out', help='folder to make, for example data/shapes')
    parser.add_argument('--seed', type=int, default=0, help='other seeds give other images (default: 0)')
    parser.add_argument('--train', type=int, default=240, help='number of training images (default: 240)')
    parser.add_argument('--val', type=int, default=60, help='number of held-out images (default: 60)')
    parser.add_argument('--size', type=int, default=128, help='height and width in pixels (default: 128)')
    args = parser.parse_args()
    try:
        written = generate(args.out, args.seed, args.train, args.val, args.size)
    except (ValueError, FileExistsError) as error:
        parser.error(str(error))
    print(f'{args.out}: {"written" if written else "already there"}')


if __name__ == '__main__':
    main()
