"""Makes a precompiled header for mmcv's build: each of its files would spend most of its time on torch's headers.

Nothing of mmcv's source is changed: the compiler is told by CPPFLAGS to include the header first. GCC takes a
precompiled header only from a run with the same flags, so these are read off the build itself. With another compiler,
or if anything here fails, mmcv is compiled as without it, which takes four times as long.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

from setup_run import PYTHON, SetupError, child_env, run, say

# Those that nearly every file of mmcv begins with; they bring in torch's.
HEADERS = ('pytorch_cpp_helper.hpp', 'pytorch_device_registry.hpp')
OTHERS_THAN_GCC = r'__clang__|__INTEL_COMPILER|__NVCOMPILER'

# Lets setup.py write its build.ninja, and stops where it would run it.
WRITE_BUILD_FILE = """
import runpy, sys
from torch.utils import cpp_extension

def stop(build_directory, *args, **kwargs):
    print(build_directory)
    sys.exit()

cpp_extension._run_ninja_build  # an AttributeError here is better than a build that nobody expects
cpp_extension._run_ninja_build = stop
sys.argv = ['setup.py', 'build_ext']
runpy.run_path('setup.py', run_name='__main__')
"""


def is_gcc() -> bool:
    """Whether the C++ compiler is GCC, and not one of those that take GCC's place and name."""
    command = [*shlex.split(os.environ.get('CXX', 'c++')), '-dM', '-E', '-x', 'c++', os.devnull]
    try:
        macros = subprocess.run(command, capture_output=True, text=True).stdout
    except OSError:
        return False
    return '__GNUC__' in macros and not re.search(OTHERS_THAN_GCC, macros)


def answer(command: list[object], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command and return what it prints; raise an error if it fails."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=child_env(), capture_output=True, text=True)
    if done.returncode:
        raise SetupError((done.stderr or done.stdout).strip() or f'{command[0]} failed')
    return done


def compiler_calls(source: Path) -> list[dict[str, str]]:
    """How the build will compile each file: ninja's list of dicts with `directory`, `command`, `file` and `output`."""
    folder = answer([PYTHON, '-W', 'ignore', '-c', WRITE_BUILD_FILE], source).stdout.splitlines()[-1]
    return json.loads(answer([PYTHON.parent / 'ninja', '-t', 'compdb', 'compile'], Path(folder)).stdout)


def flags_of(call: dict[str, str]) -> list[str]:
    """The compiler and its flags, without the file that is compiled and what is written."""
    words, flags = iter(shlex.split(call['command'])), []
    for word in words:
        if word in ('-o', '-MF'):
            next(words)
        elif word not in ('-c', '-MMD', call['file']):
            flags.append(word)
    return flags


def precompiled_header(source: Path, folder: Path, log: Path) -> str:
    """Make the header, and see that the compiler takes it.

    Args:
        source: mmcv's source.
        folder: Where the header goes (about 540 MB) and stays; one that is there from an interrupted build is kept,
            since what was compiled with it would be compiled anew with another.
        log: For the compiler's output.

    Returns:
        Flags to put into CPPFLAGS; '' if there is no header, which has been said unless it was clear from the start.
    """
    if not is_gcc():
        return ''
    try:
        return _made_and_taken(source, folder, log)
    except Exception as error:  # whatever it is, mmcv can be compiled without the header
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
        say(f'      no precompiled header ({reason}): compiling without, which takes four times as long')
        return ''


def _made_and_taken(source: Path, folder: Path, log: Path) -> str:
    call = next(call for call in compiler_calls(source) if call['file'].endswith('.cpp'))
    flags, directory = flags_of(call), Path(call['directory'])
    header = folder / 'torch_headers.hpp'
    made, note = header.with_name(f'{header.name}.gch'), header.with_name('made_with')
    if not made.is_file() or not note.is_file() or note.read_text() != shlex.join(flags):
        header.write_text(''.join(f'#include "{name}"\n' for name in HEADERS))
        fresh = folder / 'fresh.gch'
        run([*flags, '-x', 'c++-header', header, '-o', fresh], 'precompiling the headers', log, cwd=directory)
        note.write_text(shlex.join(flags))
        fresh.replace(made)
    # GCC passes over a precompiled header that does not fit in silence, but -H lists those that it takes.
    listed = answer([*flags, '-include', header, '-H', '-fsyntax-only', call['file']], directory).stderr
    if f'! {made}' not in listed.splitlines():
        raise SetupError('the compiler does not take it')
    return f'-include {shlex.quote(str(header))} -Winvalid-pch'
