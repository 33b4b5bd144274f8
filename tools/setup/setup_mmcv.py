"""Compiles mmcv for the torch in `.venv`, once per user: the wheel is kept outside the checkout.

Neither OpenMMLab's nor OneDL's has a wheel for a recent torch. ninja keeps what is compiled, so an interrupted build
goes on where it stopped. The cache is `$MMKW_CACHE`, else `$XDG_CACHE_HOME/mmkw`, else `~/.cache/mmkw`.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from setup_header import is_gcc, precompiled_header
from setup_run import PYTHON, PYTHON_VERSION, STACK, VENV, SetupError, ask, child_env, only_one, pip, run, say, span

PACKAGE, VERSION = STACK.mmcv.split('==')
# Measured for all 77 files of a build without CUDA, summed over the cores, with a precompiled header and without.
CPU_MINUTES = {True: 6, False: 22}

PROBE = """
import json, os, torch
from torch.utils.cpp_extension import CUDA_HOME
devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
archs = sorted({'%d.%d' % torch.cuda.get_device_capability(i) for i in devices})
print(json.dumps(dict(version=torch.__version__, cuda=torch.version.cuda, cuda_home=CUDA_HOME,
                      archs=os.environ.get('TORCH_CUDA_ARCH_LIST') or '-'.join(archs),
                      cuda_ops=bool(devices) or os.environ.get('FORCE_CUDA') == '1')))
"""


def probe_torch() -> dict[str, Any]:
    """Find out what mmcv's build will see of torch and the GPU."""
    answer = ask(PROBE)
    if answer.returncode:
        raise SetupError(f'{answer.stderr.strip()}\n\ntorch cannot be imported: remove {VENV} and run this again.')
    return json.loads(answer.stdout.splitlines()[-1])


def cache_key(torch: Mapping[str, Any]) -> str:
    """Name of a folder that says all that a compiled mmcv depends on."""
    ops = f'cuda-{torch["archs"]}' if torch['cuda_ops'] else 'cpu'
    python = f'cp{PYTHON_VERSION.replace(".", "")}'
    machine = f'{sys.platform}_{platform.machine()}'
    return re.sub(r'[^\w.+-]+', '-', f'{PACKAGE}-{VERSION}_torch-{torch["version"]}_{python}_{machine}_{ops}')


@functools.cache
def cache_root() -> Path:
    """The user's cache, or a folder in `.venv` if the cache cannot be written."""
    xdg = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
    root = Path(os.environ.get('MMKW_CACHE') or os.path.join(xdg, 'mmkw')).absolute()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            return root
    except OSError as error:
        say(f'{root} cannot be written ({error.strerror}): the compiled mmcv is kept in .venv/build')
        return VENV / 'build'


def cached() -> bool:
    """Whether mmcv has been compiled for this user and, as far as can be told before torch is there, for its torch."""
    return any(cache_root().glob(f'mmcv/{PACKAGE}-{VERSION}_torch-{STACK.torch}*/*.whl'))


def require_compiler(python: object) -> None:
    """Raise an error if the build lacks a compiler or Python's headers, before anybody waits for it."""
    compiler = os.environ.get('CXX', 'c++')
    if not shutil.which(compiler.split()[0]):
        raise SetupError(
            f'mmcv has to be compiled and there is no C++ compiler (`{compiler}`): install one '
            '(Debian, Ubuntu: `apt-get install g++`; Fedora: `dnf install gcc-c++`), then run this again.'
        )
    folder = ask("import sysconfig; print(sysconfig.get_path('include'))", python).stdout.strip()
    if not Path(folder, 'Python.h').is_file():
        raise SetupError(
            f"mmcv has to be compiled and {folder}/Python.h is missing: install Python's headers "
            f'(Debian, Ubuntu: `apt-get install python{PYTHON_VERSION}-dev`; '
            f'Fedora: `dnf install python{PYTHON_VERSION}-devel`), '
            'then run this again.'
        )


def require_nvcc(torch: Mapping[str, Any]) -> None:
    """Raise an error if nvcc is missing for the GPU operators, which mmcv builds if torch sees a GPU."""
    if not torch['cuda_ops']:
        return
    need = f'the CUDA toolkit {torch["cuda"]}'
    without = 'or run `CUDA_VISIBLE_DEVICES= make setup` for an environment without GPU operators'
    nvcc = Path(torch['cuda_home'] or '/none', 'bin', 'nvcc')
    if not nvcc.is_file():
        raise SetupError(f"mmcv's GPU operators need nvcc, and there is none: install {need}, {without}.")
    text = subprocess.run([str(nvcc), '--version'], capture_output=True, text=True).stdout
    release = re.search(r'release (\d+)\.', text)
    if release and release[1] != str(torch['cuda']).split('.')[0]:
        raise SetupError(
            f'{nvcc} is of CUDA {release[1]} and torch {torch["version"]} of CUDA {torch["cuda"]}: '
            f'install {need} and set CUDA_HOME to it, {without}.'
        )


def ninja_progress(output: str) -> tuple[int, int] | None:
    """(done, total) from ninja's last `[34/77]`; after an interruption ninja counts only the files that are left."""
    found = re.findall(r'^\s*\[(\d+)/(\d+)\] ', output, flags=re.MULTILINE)
    return (int(found[-1][0]), int(found[-1][1])) if found else None


def progress_line(output: str, seconds: float) -> str:
    """Line that tells a waiting person how far the build is."""
    counts = ninja_progress(output)
    if counts is None:
        return f'mmcv: preparing, {span(seconds)}'
    done, total = counts
    left = seconds / done * (total - done)
    return f'mmcv: {done}/{total} files compiled in {span(seconds)}, about {span(left)} to go'


def compile_minutes() -> int:
    """How long mmcv will take to compile here."""
    return max(1, round(CPU_MINUTES[is_gcc()] / int(child_env()['MAX_JOBS'])))


def fetch_source(folder: Path) -> Path:
    """Download and unpack mmcv's source distribution. It is kept, since ninja's objects lie inside it."""
    source = folder / f'{PACKAGE.replace("-", "_")}-{VERSION}'
    if not source.is_dir():
        shutil.rmtree(folder, ignore_errors=True)
        unpacked = folder / 'unpacked'
        unpacked.mkdir(parents=True)
        # `pip download` runs setup.py, which wants torch and pkg_resources: both are in `.venv` already.
        pip(
            'download',
            '-q',
            '--no-deps',
            '--no-build-isolation',
            f'--no-binary={PACKAGE}',
            f'-d{folder}',
            STACK.mmcv,
        )
        with tarfile.open(next(folder.glob('*.tar.gz'))) as archive:
            archive.extractall(unpacked, **({'filter': 'data'} if hasattr(tarfile, 'data_filter') else {}))
        (unpacked / source.name).rename(source)
    return source


def compile_wheel(folder: Path) -> Path:
    """Build the wheel in `folder/build`, and move it to `folder` when it is complete."""
    source = fetch_source(folder / 'build')
    flags = f'{os.environ.get("CPPFLAGS", "")} {precompiled_header(source, folder / "build", folder / "header.log")}'
    # setuptools would take half-written leftovers for finished files. Linking and packing again takes seconds.
    for leftover in (*source.glob('build/lib*'), *source.glob('build/bdist*'), folder / 'build' / 'wheels'):
        shutil.rmtree(leftover, ignore_errors=True)
    # Without --no-cache-dir pip might answer with a wheel that it built for another torch.
    command = [PYTHON, '-m', 'pip', 'wheel', '-v', '--no-deps', '--no-build-isolation', '--no-cache-dir']
    command += ['-w', folder / 'build' / 'wheels', '.']
    # Not in CFLAGS, which would take the place of Python's own, -O3 among them.
    run(command, 'compiling mmcv', folder / 'build.log', source, progress_line, {'CPPFLAGS': flags.strip()})
    fresh = next((folder / 'build' / 'wheels').glob('*.whl'))
    wheel = folder / fresh.name
    fresh.replace(wheel)
    shutil.rmtree(folder / 'build')  # most of a gigabyte that nobody needs again
    return wheel


def install_mmcv() -> None:
    """Install the wheel from the cache, compile it first if it is not there, and check that it works."""
    torch = probe_torch()
    folder = cache_root() / 'mmcv' / cache_key(torch)
    folder.mkdir(parents=True, exist_ok=True)
    with only_one(folder / 'lock'):
        wheel = next(folder.glob('*.whl'), None)
        if wheel is None:
            require_compiler(PYTHON)
            require_nvcc(torch)
            longer = ', longer with GPU operators' if torch['cuda_ops'] else ''
            say(f'      compiling {child_env()["MAX_JOBS"]} files at a time, about {compile_minutes()} min{longer}')
            wheel = compile_wheel(folder)
        else:
            say(f'      ready-made in {folder}')
        pip('install', '-q', '--no-deps', '--force-reinstall', wheel)
        answer = ask('import mmcv.ops')
        if answer.returncode:
            wheel.unlink()
            raise SetupError(
                f'{answer.stderr.strip()}\n\nThe mmcv wheel kept in {folder} does not work with this torch: '
                'it is removed now, run this again to compile another.'
            )
