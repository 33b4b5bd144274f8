"""Measure time and peak memory of KernelWarehouse backbones, of the plain ones, and of a textbook implementation.

python tools/benchmark                                       the rows of docs/benchmark.md
python tools/benchmark r50,1x,train,2,480x640                your own rows: BACKBONE,METHOD,train|test,BATCH,SIZE
python tools/benchmark r18,odconv4x,train,16,224x224         METHOD is a budget of KernelWarehouse, or another method
python tools/benchmark r50,4x,test,16,224x224,8192           with so many MB for what layers keep in inference
python tools/benchmark --methods                             all methods, the table of docs/comparison.md
python tools/benchmark --detector r50,1x,train,2,480x640     the whole Mask R-CNN: training step or test image
"""

import argparse
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from keep_memory import keep_memory  # noqa: E402

if __name__ == '__main__':
    keep_memory()

from arguments import check_counts, workload  # noqa: E402
from measure import VARIANTS, Setting, measure  # noqa: E402
from methods import COMPARED_ROWS, table  # noqa: E402
from mmkw.checkpoints.files import write_json  # noqa: E402

ROWS = (
    'r50,1x,train,2,480x640',
    'r50,1x,train,16,224x224',
    'r50,1x,train,64,224x224',
    'r50,4x,train,2,480x640',
    'r50,4x,train,64,224x224',
    'mbv2,1x,train,2,480x640',
    'r50,1x,test,1,800x1216',
    'r50,1x,test,16,224x224',
    'r50,1x,test,16,224x224,8192',
    'r50,4x,test,1,800x1216',
    'r50,4x,test,1,800x1216,8192',
    'r50,4x,test,1,224x224',
    'r50,4x,test,1,224x224,8192',
    'r50,4x,test,16,224x224',
    'r50,4x,test,16,224x224,8192',
    'r18,4x,test,16,224x224',
    'r18,4x,test,16,224x224,8192',
    'mbv2,4x,test,16,224x224',
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('rows', nargs='*', type=workload, help='default: those of docs/benchmark.md')
    parser.add_argument('--repeat', type=int, default=5, help='timed runs of each variant (default: 5)')
    parser.add_argument('--threads', type=int, help="default: torch's")
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument('--amp', action='store_true', help='autocast: bfloat16 on a CPU, float16 on a GPU')
    parser.add_argument('--channels-last', action='store_true')
    parser.add_argument('--compile', action='store_true', help='torch.compile the backbones')
    parser.add_argument(
        '--no-memory', action='store_true', help='leave out peak memory, which takes separate processes'
    )
    parser.add_argument('--no-textbook', action='store_true', help='leave out the textbook implementation')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write versions, command and figures to a file too')
    parser.add_argument('--detector', action='store_true', help='the whole Mask R-CNN')
    parser.add_argument('--methods', action='store_true', help='all methods in r18 and r50, and a table of them')
    args = parser.parse_args()
    check_counts(parser, repeat=args.repeat, threads=args.threads)
    if args.detector and args.compile:
        parser.error('--compile is for backbones; leave out --detector')
    if args.methods and (args.rows or args.detector):
        parser.error('--methods has rows of its own, of backbones; leave out rows and --detector')
    setting = Setting(args.device, args.amp, args.channels_last, args.compile, args.detector, args.threads)
    try:
        versions = setting.prepare()
    except ValueError as error:
        parser.error(str(error))
    rows = args.rows or [workload(row) for row in (COMPARED_ROWS if args.methods else ROWS)]
    variants = VARIANTS[:2] if args.methods or args.no_textbook else VARIANTS

    print(', '.join(f'{name} {value}' for name, value in versions.items()), flush=True)
    print(HEADER, flush=True)
    results = []
    for row in rows:
        results.append(measure(row, setting, args.repeat, not args.no_memory, variants))
        print(line_of(results[-1]), flush=True)
    if args.methods:
        print(f'\n{table(results)}', flush=True)
    if args.json:
        write_json(args.json, dict(command=' '.join(sys.argv), versions=versions, rows=results))


HEADER = (
    '| work | plain, s | method, s | textbook, s | method / plain | textbook / plain | floor / plain '
    '| peak memory plain, MB | method / plain | textbook / plain |\n|' + '---|' * 10
)


def line_of(row: dict) -> str:
    """A result of :func:`measure.measure` as a line of the table."""
    seconds, peak = row['seconds'], row['peak_bytes']

    def cell(values: dict, name: str, unit: float, form: str) -> str:
        return format(values[name] / unit, form) if name in values else '-'

    cells = [row['work'], *(cell(seconds, name, 1, '.3f') for name in VARIANTS)]
    cells += [cell(seconds, name, seconds['plain'], '.2f') for name in (*VARIANTS[1:], 'floor')]
    cells += [cell(peak, 'plain', 2**20, '.0f')]
    cells += [cell(peak, name, peak.get('plain', 1), '.2f') for name in VARIANTS[1:]]
    return '| ' + ' | '.join(cells) + ' |'


if __name__ == '__main__':
    main()
