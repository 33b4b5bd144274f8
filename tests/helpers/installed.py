"""Makes an environment in which mmkw is installed as a package, and the checkout is out of reach."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from running import ROOT

# Ends any Python of that environment, at any depth of subprocesses, that opens a file of the checkout.
GUARD = """
import os, sys
ROOT, STACK = {root!r}, {stack!r}
def refuse(event, arguments):
    if event == 'open' and isinstance(arguments[0], (str, bytes)):
        path = os.path.abspath(os.fsdecode(arguments[0]))
        if path.startswith(ROOT) and not path.startswith(STACK):
            raise RuntimeError('the checkout is used: ' + path)
sys.addaudithook(refuse)
"""


class Environment:
    """A virtual environment that sees the present one's packages, and mmkw as a wheel built from the checkout."""

    def __init__(self, folder: Path) -> None:
        """Make it in an empty folder."""
        self.folder = folder
        source = folder / 'source'
        source.mkdir()
        for name in ('mmkw', 'configs', 'tools'):
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns('__pycache__'))
        for name in ('setup.py', 'pyproject.toml', 'MANIFEST.in', 'model-index.yml', 'README.md', 'LICENSE'):
            shutil.copy(ROOT / name, source)
        pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check', '-q']
        # As `python -m build` does it: the wheel is made from the source distribution, which has to be complete.
        sdist = "from setuptools import build_meta; print(build_meta.build_sdist('..'))"
        name = _output([sys.executable, '-c', sdist], cwd=source).splitlines()[-1]
        shutil.rmtree(source)
        wheel = ['wheel', '--no-deps', '--no-build-isolation', '-w', folder, folder / name]
        _output([*pip, *wheel], cwd=folder)
        (self.wheel,) = folder.glob('*.whl')

        _output([sys.executable, '-m', 'venv', '--without-pip', folder / 'venv'], cwd=folder)
        self.python = folder / 'venv' / 'bin' / 'python'
        self.packages = Path(_output([self.python, '-c', "import sysconfig; print(sysconfig.get_path('purelib'))"]))
        # A .pth file of this one's packages, such as that of an editable mmkw, is not read there.
        stack = [path for path in sys.path if path.rstrip('/').endswith('-packages')]
        (self.packages / 'stack.pth').write_text('\n'.join(stack))
        _output([*pip, '--python', self.python, 'install', '--no-deps', self.wheel], cwd=folder)
        allowed = tuple({form for path in stack for form in (path, os.path.realpath(path))})
        (self.packages / 'a_guard.py').write_text(GUARD.format(root=f'{ROOT}{os.sep}', stack=allowed))
        (self.packages / 'a_guard.pth').write_text('import a_guard')

    def run(self, *command: object, cwd: Path, status: int = 0) -> str:
        """Run its Python with some arguments in a folder; what was printed on stdout and stderr together."""
        return _output([self.python, *command], cwd=cwd, status=status)

    def mim(self, *command: object, cwd: Path, status: int = 0) -> str:
        """Run openmim in a folder."""
        return self.run('-c', 'from mim.cli import cli; cli()', *command, cwd=cwd, status=status)


def _output(command: list, cwd: object = None, status: int = 0) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ('PYTHONPATH', 'VIRTUAL_ENV')}
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**environment, 'OMP_NUM_THREADS': '1'},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert result.returncode == status, result.stdout[-4000:]
    return result.stdout.strip()
