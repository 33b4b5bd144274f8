"""Write the data set of `make demo-classify`, the real handwritten digits of scikit-learn, in class folders."""

import argparse

from mmkw.demo.digits import generate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out', help='folder to make, for example data/digits')
    parser.add_argument('--train', type=int, default=898, help='number of training images (default: 898)')
    parser.add_argument('--val', type=int, default=899, help='number of held-out images (default: 899)')
    args = parser.parse_args()
    try:
        written = generate(args.out, args.train, args.val)
    except ModuleNotFoundError as error:
        parser.error(f'{error}: the digits come with scikit-learn; `make setup` installs it')
    except (ValueError, FileExistsError) as error:
        parser.error(str(error))
    print(f'{args.out}: {"written" if written else "already there"}')


if __name__ == '__main__':
    main()
