"""Train a list of configs over several seeds, and write their table and figure.

python tools/study.py configs/study/cifar10.py --jobs 2
python tools/study.py configs/study/cifar10.py --report --out docs/study

Each run is an ordinary tools/train.py. Given the command again after an interruption, finished runs are kept and
unfinished ones resumed. docs/study.md says what a study file holds.
"""

import argparse
import signal
import sys
import time
from pathlib import Path

from command_line import or_exit
from mmkw.study.plan import read_study
from mmkw.study.records import adopt
from mmkw.study.report import write_report
from mmkw.study.running import Runner

TRAIN = Path(__file__).resolve().with_name('train.py')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('study', help='study file')
    parser.add_argument('--jobs', type=int, default=1, help='trainings at once (default: 1)')
    parser.add_argument('--threads', type=int, default=1, help='CPU threads of each training (default: 1)')
    parser.add_argument('--work-dir', help='folder of the runs (default: as the study says)')
    parser.add_argument('--out', type=Path, help='folder for table and figure (default: the folder of the runs)')
    parser.add_argument('--adopt', type=Path, metavar='NAME.json', help='report whose results count as if made here')
    parser.add_argument('--report', action='store_true', help='train nothing; write table and figure of what is done')
    args = parser.parse_args()
    if args.jobs < 1 or args.threads < 1:
        parser.error('--jobs and --threads must be at least 1')
    failures = []
    with or_exit():
        study = read_study(args.study, args.work_dir)
        out = args.out or study.work_dir
        if args.adopt:
            say(f'{adopt(study.runs, args.adopt)} results taken over from {args.adopt}')
        if not args.report:
            for number in (signal.SIGTERM, signal.SIGHUP):  # so that they stop its trainings, too
                if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
                    signal.signal(number, signal.default_int_handler)
            runner = Runner(study, [sys.executable, str(TRAIN)], args.jobs, args.threads, say)
            try:
                failures = runner.run(after_each=lambda: write_report(study, out))
            except KeyboardInterrupt:
                sys.exit('stopped; the same command goes on')
        table = write_report(study, out)
    print(f'\n{table}\n{out}/{study.name}.md, .json, .png' if table else 'no run has a result yet')
    sys.exit('\n'.join(failures) or 0)


def say(line: str) -> None:
    print(f'{time.strftime("%H:%M")}  {line}', flush=True)


if __name__ == '__main__':
    main()
