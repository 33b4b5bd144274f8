"""Builds `.venv-docs`: what makes the site, runs its notebook and opens it in a browser. `.venv` stays as it is.

    python3 tools/setup/docs_env.py             (part of `make docs`)
    python3 tools/setup/docs_env.py --browser   (part of `make test`: installs a browser where that is possible)

Like setup_env.py it may be interrupted and run again. `.venv-docs` sees `.venv`'s packages and this checkout after its
own, so that the notebook finds torch, OpenMMLab and mmkw; the site itself does not need them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time

from setup_env import PYTHON_VERSION, find_python
from setup_run import ROOT, VENV, SetupError, only_one, run, say, span

DOCS = ROOT / '.venv-docs'
LOCK = ROOT / 'requirements' / 'docs.txt'
STATE = DOCS / '.mmkw-docs'
BROWSERS = ('chromium', 'chromium-browser', 'google-chrome')
APT = ['apt-get', 'install', '-y', '--no-install-recommends', 'chromium', 'chromium-driver']


def fingerprint() -> str:
    """Hash of all that `.venv-docs` is made from."""
    return hashlib.sha256(str(ROOT).encode() + LOCK.read_bytes()).hexdigest()


def is_ready() -> bool:
    """Whether `.venv-docs` is as this checkout wants it."""
    return STATE.is_file() and STATE.read_text() == fingerprint()


def set_up() -> None:
    """Make `.venv-docs`, unless it is ready.

    Raises:
        SetupError: If a step fails, or the folder is somebody else's.
    """
    if is_ready():
        return
    with only_one(ROOT / '.venv-docs.lock'):
        if is_ready():
            return
        began = time.monotonic()
        say('documentation: building .venv-docs, about a minute')
        if DOCS.exists():
            if not STATE.is_file() and any(DOCS.iterdir()):
                raise SetupError(f'{DOCS} was not made by this script: move it away or remove it, then run this again.')
            shutil.rmtree(DOCS)
        DOCS.mkdir()
        STATE.write_text('not ready')
        python, log = DOCS / 'bin' / 'python', DOCS / 'setup.log'
        run([find_python(), '-m', 'venv', DOCS], 'making .venv-docs', log)
        # --no-deps: the list is complete.
        command = [python, '-m', 'pip', 'install', '-q', '--no-deps', '-r', LOCK]
        run(command, f'installing the packages of requirements/{LOCK.name}', log)
        packages = f'lib/python{PYTHON_VERSION}/site-packages'
        (DOCS / packages / 'mmkw_libraries.pth').write_text(f'{VENV / packages}\n{ROOT}\n')
        STATE.write_text(fingerprint())
        say(f'documentation: .venv-docs is ready after {span(time.monotonic() - began)}')


def install_browser() -> None:
    """Install Debian's Chromium if there is no browser, and this is a machine and a user that can.

    Where it cannot, it says so and goes on: the test that opens the site is then skipped, with this reason.
    """
    if any(map(shutil.which, BROWSERS)) and shutil.which('chromedriver'):
        return
    if os.geteuid() or not shutil.which('apt-get'):
        say(f'no browser: the test that opens the site will be skipped (`{" ".join(APT)}`, as root, installs one)')
        return
    say('installing Chromium, with which a test opens the site (about a minute)')
    log = ROOT / '.venv-docs.browser.log'
    try:
        run(['apt-get', 'update'], '`apt-get update`', log)
        run(APT, f'`{" ".join(APT)}`', log)
    except SetupError as error:
        say(f'{error}\nno browser: the test that opens the site will be skipped')


def main() -> int:
    try:
        if sys.argv[1:] == ['--browser']:
            install_browser()
        else:
            set_up()
    except SetupError as error:
        print(f'set-up failed: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
