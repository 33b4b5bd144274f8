"""Builds `.venv`, the one environment that `make demo` and `make test` share, from pinned versions.

MMKW_SETUP names another of the stacks of setup_run.py: `onedl` for `make test STACK=onedl`, `oldest` for
`make test-oldest`.

    python3 tools/setup/setup_env.py      (or `make setup`)

It uses the standard library only, runs under whatever python3 the machine has, and looks for the Python 3.11 that
`.venv` is made with. You may interrupt it anywhere and run it again; if there is nothing to do, it returns at once.
pip's own settings (`PIP_*`, pip.conf) decide where packages come from. The long part, mmcv, is in setup_mmcv.py.
"""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from setup_mmcv import cached, compile_minutes, install_mmcv, probe_torch, require_compiler
from setup_run import PYTHON, PYTHON_VERSION, ROOT, STACK, VENV, SetupError, ask, only_one, pip, run, say, span

LOCKS = [ROOT / 'requirements' / name for name in STACK.locks]
CONSTRAINTS = [f'-c{lock}' for lock in LOCKS]
# Marks a `.venv` as ours and says how far it got: CREATING, CREATED, or the fingerprint of a finished set-up.
STATE = VENV / '.mmkw-setup'
CREATING, CREATED = 'creating', 'created'

# Newer releases are builds for CUDA, which fail at import beside a CPU torch. This one loads, and its transforms work.
TORCHVISION_ON_CPU = '0.16.2'


def write_state(text: str) -> None:
    """Note in `.venv` how far set-up got."""
    fresh = STATE.with_suffix('.new')
    fresh.write_text(text)
    fresh.replace(STATE)


def read_state() -> str:
    """What :func:`write_state` noted, '' if nothing."""
    return STATE.read_text().strip() if STATE.is_file() else ''


def fingerprint() -> str:
    """Hash of all that `.venv` is made from. Its folder counts too, since an environment breaks if it is moved."""
    digest = hashlib.sha256(f'{ROOT} {STACK}'.encode())
    for path in (*LOCKS, ROOT / 'setup.py', *sorted(Path(__file__).parent.glob('setup_*.py'))):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def version_of(python: str) -> str | None:
    """Version such as '3.11'; None if the Python is missing or, like a pyenv shim without its version, does not run."""
    path = shutil.which(python)
    if path is None or VENV in Path(path).parents:  # an active `.venv` must not become its own base
        return None
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run([path, '-c', code], capture_output=True, text=True).stdout.strip() or None


def find_python(version_of: Callable[[str], str | None] = version_of) -> str:
    """Find a Python of the tested version: the one that runs this script, else one on the PATH."""
    names = (getattr(sys, '_base_executable', sys.executable), 'python3', f'python{PYTHON_VERSION}')
    found = {name: version_of(name) for name in names}
    for name, version in found.items():
        if version == PYTHON_VERSION:
            return shutil.which(name) or name
    seen = ', '.join(f'{name} is {version}' for name, version in found.items() if version) or 'found none'
    raise SetupError(
        f'Python {PYTHON_VERSION} is needed ({seen}): install it so that `python{PYTHON_VERSION}` runs, '
        f'or name it: `make {STACK.make} PYTHON=/path/to/python{PYTHON_VERSION}`.'
    )


def make_venv() -> None:
    """Make `.venv`: keep a good one, replace a broken one of ours, and never touch one that is not ours."""
    state = read_state()
    healthy = f"import sys, pip; assert '%d.%d' % sys.version_info[:2] == '{PYTHON_VERSION}'"
    if state not in ('', CREATING) and PYTHON.exists() and ask(healthy).returncode == 0:
        write_state(CREATED)  # from here on an older fingerprint is no longer true
        return
    python = find_python()
    broken = ROOT / f'{VENV.name}.broken'
    if VENV.exists():
        if not state and any(VENV.iterdir()):
            raise SetupError(f'{VENV} was not made by this script: move it away or remove it, then run this again.')
        shutil.rmtree(broken, ignore_errors=True)
        VENV.rename(broken)  # in one move: a half-removed `.venv` would look like somebody else's
    shutil.rmtree(broken, ignore_errors=True)
    VENV.mkdir()
    write_state(CREATING)
    run([python, '-m', 'venv', VENV], f'making {VENV.name}')
    write_state(CREATED)


def install_torchvision() -> None:
    """Install the torchvision that loads beside the installed torch."""
    if probe_torch()['cuda']:
        pip('install', '-q', *CONSTRAINTS, f'torchvision=={STACK.torchvision_on_cuda}')
    else:
        pip('install', '-q', '--no-deps', f'torchvision=={TORCHVISION_ON_CPU}')


def install_mmkw() -> None:
    """Install this checkout itself, editable."""
    pip('install', '-q', '--no-deps', '--no-build-isolation', '-e', ROOT)


def check_imports() -> None:
    """Raise an error if the finished environment cannot import what it is for."""
    answer = ask('import mmcv.ops, mmdet, mmpretrain, mmkw')
    if answer.returncode:
        raise SetupError(
            f'{answer.stderr.strip()}\n\nThe finished .venv cannot import mmcv, mmdet, mmpretrain and mmkw. '
            "If the error is in mmkw's own code, mend that; else remove .venv (the compiled mmcv is kept) "
            'and run this again.'
        )


STEPS: tuple[tuple[str, Callable[[], None]], ...] = (
    (f'an empty environment, Python {PYTHON_VERSION} (10 s)', make_venv),
    (
        f'torch {STACK.torch} (about a minute; a build for CUDA brings some GB and takes longer)',
        lambda: pip('install', '-q', *CONSTRAINTS, f'torch=={STACK.torch}'),
    ),
    # --no-deps: the list is complete, and mm* would bring opencv-python, which needs libGL.
    (
        f'the packages of {" and ".join(STACK.locks)} in requirements (about a minute)',
        lambda: pip('install', '-q', '--no-deps', *(f'-r{lock}' for lock in LOCKS)),
    ),
    ('torchvision (10 s)', install_torchvision),
    (f'{STACK.mmcv}, compiled from source once for this user', install_mmcv),
    ('mmkw itself, editable (10 s)', install_mmkw),
    ('trying the imports (20 s)', check_imports),
)


def set_up() -> None:
    """Do all steps, unless `.venv` is ready."""
    wanted = fingerprint()
    if read_state() == wanted and PYTHON.exists():
        say(f'environment: {VENV.name} is ready')
        return
    with only_one(ROOT / f'{VENV.name}.lock'):
        if read_state() == wanted:
            say(f'environment: {VENV.name} is ready, the other set-up did it')
            return
        began = time.monotonic()
        if cached():
            say(f'environment: building {VENV.name} in about 3 min')
        else:
            require_compiler(find_python())
            minutes = compile_minutes()
            mmcv = f'{minutes} of them to compile mmcv, once per user'
            say(f'environment: building {VENV.name} in about {3 + minutes} min, {mmcv}')
        for number, (text, step) in enumerate(STEPS, start=1):
            say(f'[{number}/{len(STEPS)}] {text}')
            step()
        write_state(wanted)
        say(f'environment: {VENV.name} is ready after {span(time.monotonic() - began)}')


def main() -> int:
    # An exception, unlike a kill, lets `run` stop the compilers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('set-up stopped: run it again to go on from here'))
    try:
        set_up()
    except SetupError as error:
        print(f'set-up failed: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('set-up interrupted: run it again to go on from here', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
