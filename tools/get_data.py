"""Unpack the data of mmkw's study into data/, or check what is there and say where to get the rest.

python tools/get_data.py --from ~/Downloads
python tools/get_data.py nuclei --from nuclei.tar.gz
python tools/get_data.py
"""

import argparse
import sys
from pathlib import Path
from typing import Optional

from mmkw.study.archives import DATA_SETS, DataError, DataSet, problem, unpack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('names', nargs='*', metavar='NAME', help=f'of {", ".join(DATA_SETS)} (default: all)')
    parser.add_argument('--from', dest='source', type=Path, help='an archive NAME.tar.gz, or a folder with archives')
    parser.add_argument('--to', type=Path, default=Path('data'), help='folder to unpack into (default: data)')
    args = parser.parse_args()
    unknown = set(args.names) - set(DATA_SETS)
    if unknown:
        parser.error(f'there is no data set {sorted(unknown)[0]!r}; there are {", ".join(DATA_SETS)}')
    if args.source and not args.source.exists():
        parser.error(f'--from: there is no {args.source}')
    names = args.names
    if not names and args.source and args.source.is_file():
        names = [name for name in DATA_SETS if args.source.name == f'{name}.tar.gz']
        if not names:
            parser.error(f'--from: {args.source.name} is the archive of no data set; name the data set that it holds')
    reports = [report(DATA_SETS[name], args.source, args.to) for name in names or DATA_SETS]
    sys.exit(0 if all(reports) else 1)


def report(data: DataSet, source: Optional[Path], root: Path) -> bool:
    """Unpack or check a data set, and print what came of it; whether it is there and whole."""
    archive = source / f'{data.name}.tar.gz' if source and source.is_dir() else source
    out = root / data.name
    try:
        if archive and archive.is_file():
            written = unpack(data, archive, root)
            print(f'{out}: {"unpacked and checked" if written else "already there, and whole"}')
            return True
    except DataError as error:
        print(error)
        return False
    wrong = problem(data, out)
    if wrong is None:
        print(f'{out}: whole')
        return True
    print(f'{out}: {wrong}\n    get it: {data.source}\n    or unpack {data.name}.tar.gz with --from FOLDER')
    return False


if __name__ == '__main__':
    main()
