"""Runs a study's trainings, several at once if wanted, and goes on where it was stopped."""

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mmengine.config import Config

from mmkw.checkpoints.files import write_json
from mmkw.config import LaunchError
from mmkw.engine import check_files

from .clock import time_left
from .plan import Run, Study
from .provenance import difference, provenance
from .records import CONFIG, LOG, RESULT, STARTED, progress, read_json, result_of
from .sizes import machine, sizes


@dataclass
class _Active:
    run: Run
    cfg: Config
    process: subprocess.Popen
    log: IO
    since: float
    done_before: float


class Runner:
    """Trains what a study lacks.

    Args:
        study: The study.
        trainer: The command of a training, without arguments. It is called as tools/train.py is, with a config,
            ``--work-dir`` and ``--resume``.
        jobs: How many trainings run at once. Default: 1.
        threads: Of each training on a CPU. Default: 1, since two threads of one training suffer from any neighbour.
        say: Gets lines on what happens. Default: print.
        interval: Seconds between lines on progress. Default: 60.
    """

    def __init__(
        self,
        study: Study,
        trainer: Sequence[str],
        jobs: int = 1,
        threads: int = 1,
        say: Callable[[str], None] = print,
        interval: float = 60.0,
    ) -> None:
        self.study, self.trainer, self.jobs, self.threads = study, trainer, jobs, threads
        self.say, self.interval = say, interval
        self._sizes: dict[str, dict[str, Any]] = {}

    def run(self, after_each: Callable[[], None] = lambda: None) -> list[str]:
        """Train every run that has no result yet.

        Args:
            after_each: Called whenever a run has its result. Default: nothing.

        Returns:
            A sentence for each run that failed; the others go on.

        Raises:
            LaunchError: If a run lacks data, or its folder has something of other code, another config or other data,
                or another program is at work on the study. Nothing was started then. Also if code or data change before
                the last run starts; those that were running are stopped then, to be resumed.
        """
        failures = []
        with _alone(self.study.work_dir):
            waiting = self._lacking()
            active: list[_Active] = []
            said = time.monotonic()
            try:
                while waiting or active:
                    while waiting and len(active) < self.jobs:
                        active.append(self._start(*waiting.pop(0)))
                    time.sleep(0.05)
                    for ended in [job for job in active if job.process.poll() is not None]:
                        active.remove(ended)
                        failures += self._end(ended)
                        after_each()
                    if active and time.monotonic() - said > self.interval:
                        said = time.monotonic()
                        self._say_progress(waiting, active)
            finally:
                for job in active:
                    _stop(job.process)
                for job in active:
                    job.process.wait()
                    job.log.close()
        return failures

    def _lacking(self) -> list[tuple[Run, Config, dict]]:
        """The runs without a result, with their configs and what they depend on."""
        lacking = []
        for run in self.study.runs:
            cfg = run.settings()
            check_files(cfg, 'train')
            now = provenance(cfg)
            for name in (RESULT, STARTED):
                before = read_json(run.folder / name)
                differs = before and difference(before['provenance'], now)
                if differs:
                    raise LaunchError(
                        f'{run.folder / name} is of other {differs} than now. Results of both cannot stand in one '
                        'table: go back to what it was, remove the folder to train this run anew, or give --work-dir '
                        'another folder'
                    )
            if not (run.folder / RESULT).is_file():
                lacking.append((run, cfg, now))
        done = len(self.study.runs) - len(lacking)
        self.say(f'{self.study.name}: {len(self.study.runs)} runs, {done} of them done, in {self.study.work_dir}')
        return lacking

    def _start(self, run: Run, cfg: Config, depends_on: Mapping[str, Any]) -> _Active:
        differs = difference(depends_on, provenance(cfg))
        if differs:
            raise LaunchError(
                f'{run} was to start, but there is other {differs} now than when the study began: go back to what it '
                'was, or begin the study anew in another --work-dir. A git worktree of its own keeps a study from this'
            )
        if run.name not in self._sizes:
            self._sizes[run.name] = sizes(cfg, self.study.shape)
        run.folder.mkdir(parents=True, exist_ok=True)
        resumes = (run.folder / STARTED).is_file()
        if not resumes:
            cfg.dump(str(run.folder / CONFIG))
        write_json(
            run.folder / STARTED,
            dict(
                name=run.name,
                seed=run.seed,
                config=str(run.config),
                cfg_options=dict(run.cfg_options),
                machine=machine(self.threads),
                **self._sizes[run.name],
                provenance=depends_on,
            ),
        )
        self.say(f'{"resumes" if resumes else "starts"}: {run}; output in {run.folder / LOG}')
        log = open(run.folder / LOG, 'a')  # noqa: SIM115 - open as long as the training
        command = [*self.trainer, str(run.folder / CONFIG), '--work-dir', str(run.folder), '--resume']
        environment = {**os.environ, 'OMP_NUM_THREADS': str(self.threads)}
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        return _Active(run, cfg, process, log, time.monotonic(), progress(run.folder, cfg))

    def _end(self, job: _Active) -> list[str]:
        """Note a training's result; a sentence if there is none."""
        job.log.close()
        _stop(job.process)
        run = job.run
        if job.process.returncode:
            failure = f'{run} failed with exit status {job.process.returncode}; the reason is in {run.folder / LOG}'
        else:
            try:
                result = result_of(run, job.cfg, self.study.metrics, read_json(run.folder / STARTED) or {})
            except LaunchError as error:
                failure = str(error)
            else:
                write_json(run.folder / RESULT, result)
                self.say(f'done: {run}: ' + ', '.join(f'{key} {value:.4g}' for key, value in result['metrics'].items()))
                return []
        self.say(failure)
        return [failure]

    def _say_progress(self, waiting: Sequence[tuple], active: Sequence[_Active]) -> None:
        shares = [progress(job.run.folder, job.cfg) for job in active]
        seconds = {
            job.run.name: (time.monotonic() - job.since) / (share - job.done_before)
            for job, share in zip(active, shares)
            if share > job.done_before
        }
        done = 0
        for run in self.study.runs:
            result = read_json(run.folder / RESULT)
            done += result is not None
            if result and result['step_seconds']:
                seconds[run.name] = result['step_seconds'] * result['iterations']
        left = [(job.run.name, 1 - share) for job, share in zip(active, shares)]
        left += [(run.name, 1.0) for run, *_ in waiting]
        running = ', '.join(f'{job.run} {share:.0%}' for job, share in zip(active, shares))
        self.say(f'{done} done; {running}; {time_left(left, seconds, self.jobs)}')


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other programs from running the same study."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / '.lock', 'w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LaunchError(f'another program is at work on the study in {folder}; wait for its end') from error
        yield


def _stop(process: subprocess.Popen) -> None:
    """Stop a training with all that it started: a data loader's worker can outlive it, and keep its memory."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
