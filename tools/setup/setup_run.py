"""What the set-up scripts share: where `.venv` is, commands with logged output, errors a person can act on.

It uses the standard library only, like everything that runs before `.venv` exists.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Stack(NamedTuple):
    """Versions that go together, in an environment of their own."""

    venv: str
    locks: tuple[str, ...]  # files of requirements/, which make all of it but the three packages below
    make: str  # the target of `make` that builds it
    python: str = '3.11'
    torch: str = '2.13.0'
    torchvision_on_cuda: str = '0.28.0'
    mmcv: str = 'mmcv==2.1.0'


STACKS = {
    '': Stack('.venv', ('lock.txt', 'openmmlab.txt'), 'setup'),
    'onedl': Stack('.venv-onedl', ('lock.txt', 'onedl.txt'), 'test STACK=onedl', mmcv='onedl-mmcv==2.3.6'),
    'oldest': Stack(
        '.venv-oldest', ('oldest.txt', 'openmmlab.txt'), 'test-oldest', '3.9', '2.1.2', torchvision_on_cuda='0.16.2'
    ),
}
ASKED = os.environ.get('MMKW_SETUP', '')
if ASKED not in STACKS:
    raise SystemExit(f'MMKW_SETUP={ASKED!r} is no stack: it is one of {", ".join(filter(None, STACKS))}, or not set')
STACK = STACKS[ASKED]
PYTHON_VERSION = STACK.python

VENV = ROOT / STACK.venv
PYTHON = VENV / 'bin' / 'python'
LOG = VENV / 'setup.log'
TICK_SECONDS = 30

# Pattern in the last lines of a failed command's output -> what helps then.
ADVICE = (
    (
        r'No space left|quota exceeded',
        'the disk is full: free some space or set MMKW_CACHE to a larger one',
    ),
    (
        r'Killed|out of memory|Cannot allocate',
        'too little memory for so many compilers: try MAX_JOBS=1',
    ),
    (
        r'ensurepip',
        f'this Python lacks venv (Debian, Ubuntu: `apt-get install python{PYTHON_VERSION}-venv`)',
    ),
    (
        r'Max retries|[Tt]imed out|Connection|name resolution',
        'the package index cannot be reached',
    ),
    (r'No matching distribution', 'the package index lacks it: `pip config list` shows which index is asked'),
)


class SetupError(Exception):
    """A problem that the user can solve; the message says what it is and how."""


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def span(seconds: float) -> str:
    """A time in words, such as '2 min 5 s'."""
    minutes, rest = divmod(round(seconds), 60)
    return f'{minutes} min {rest} s' if minutes else f'{rest} s'


def cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


@contextlib.contextmanager
def only_one(lock_file: Path) -> Iterator[None]:
    """Let one set-up run at a time. pip inherits the lock, so a pip that outlives a killed set-up still holds it."""
    with open(lock_file, 'w') as handle:
        os.set_inheritable(handle.fileno(), True)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f'another set-up is at work (it holds {lock_file}): waiting for it to end')
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def child_env() -> dict[str, str]:
    """Environment of all commands that set-up runs."""
    env = {name: value for name, value in os.environ.items() if name not in ('PYTHONPATH', 'PYTHONHOME')}
    env.setdefault('PIP_DISABLE_PIP_VERSION_CHECK', '1')
    env.setdefault('MAX_JOBS', str(cores()))
    env['PATH'] = f'{PYTHON.parent}{os.pathsep}{env.get("PATH", os.defpath)}'  # torch looks for ninja on the PATH
    return env


def failure(what: str, output: str, log: Path) -> SetupError:
    """Make an error from the last lines that a command printed, with what failed and what to do about it."""
    lines = [line for line in output.splitlines() if not re.search(r'Location .* is ignored', line)]
    tail = '\n'.join(lines[-25:])
    advice = next((text for pattern, text in ADVICE if re.search(pattern, tail)), 'mend what it names')
    return SetupError(f'{tail}\n\n{what} failed: {advice}, then run this again. Its whole output: {log}')


def still_at_it(output: str, seconds: float) -> str:
    """Line that says only that a command is still running."""
    return f'still at it after {span(seconds)}'


def run(
    command: Sequence[object],
    what: str,
    log: Path = LOG,
    cwd: Path | None = None,
    progress: Callable[[str, float], str] = still_at_it,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a command with its output in `log` and `env` beside :func:`child_env`, and print `progress(output, seconds)`
    every half minute."""
    began = time.monotonic()
    with open(log, 'wb') as output:
        child = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env={**child_env(), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that stopping it stops its compilers too
            close_fds=False,  # see only_one
        )
    try:
        while True:
            try:
                code = child.wait(TICK_SECONDS)
                break
            except subprocess.TimeoutExpired:
                say('      ' + progress(log.read_text(errors='replace'), time.monotonic() - began))
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGTERM)
            child.wait()
    if code:
        raise failure(what, log.read_text(errors='replace'), log)


def pip(*args: object, **options: object) -> None:
    """Run `.venv`'s pip; options are those of :func:`run`."""
    run([PYTHON, '-m', 'pip', *args], f'`pip {" ".join(map(str, args))}`', **options)


def ask(code: str, python: object = PYTHON) -> subprocess.CompletedProcess[str]:
    """Run some lines of Python in `.venv`, or under another Python, and return what they print."""
    return subprocess.run([str(python), '-W', 'ignore', '-c', code], env=child_env(), capture_output=True, text=True)
