"""The parts of the set-up scripts that install nothing, and the pinned versions."""

import importlib.metadata
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import setup_env
import setup_header
import setup_mmcv
import setup_run
from mmkw.versions import ONEDL, OPENMMLAB, installed_packages

ROOT = Path(__file__).resolve().parent.parent

CPU = {'version': '2.13.0+cpu', 'cuda': None, 'cuda_home': None, 'archs': '', 'cuda_ops': False}
CUDA = {'version': '2.13.0+cu130', 'cuda': '13.0', 'cuda_home': None, 'archs': '9.0', 'cuda_ops': True}

NINJA = """
  copying mmcv/ops/csrc/[9/9] something
  [1/77] c++ -MMD -MF a.o.d -c a.cpp -o a.o
  a.cpp:3: warning: array[2/3] is odd
  [2/77] c++ -MMD -MF b.o.d -c b.cpp -o b.o
"""


@pytest.fixture
def checkout(monkeypatch, tmp_path):
    """An empty folder in place of the checkout, so that the scripts may change its `.venv`."""
    for module in (setup_env, setup_mmcv, setup_run):
        monkeypatch.setattr(module, 'VENV', tmp_path / '.venv')
        monkeypatch.setattr(module, 'PYTHON', tmp_path / '.venv' / 'bin' / 'python')
    monkeypatch.setattr(setup_env, 'ROOT', tmp_path)
    monkeypatch.setattr(setup_env, 'STATE', tmp_path / '.venv' / '.mmkw-setup')
    setup_mmcv.cache_root.cache_clear()
    yield tmp_path
    setup_mmcv.cache_root.cache_clear()


# --- the pins -----------------------------------------------------------------------------------------------------


def lock(name: str = 'lock.txt') -> dict[str, str]:
    lines = (ROOT / 'requirements' / name).read_text().splitlines()
    lines = [line for line in lines if line and not line.startswith('#')]
    assert all(re.fullmatch(r'[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*', line) for line in lines)
    return {re.sub('[-_.]+', '-', line.split('==')[0].lower()): line.split('==')[1] for line in lines}


def test_the_lock_file_pins_exactly_and_leaves_out_what_the_script_decides():
    pins = lock()
    assert int(pins['setuptools'].split('.')[0]) < 81  # mmcv's setup.py wants pkg_resources
    assert not pins.keys() & {'torch', 'torchvision', 'mmcv', 'opencv-python', 'opencv-contrib-python', 'pip'}


def test_a_stack_of_openmmlab_pins_what_is_promised_and_nothing_twice():
    for stack in setup_run.STACKS.values():
        pins = [pin for name in stack.locks for pin in lock(name).items()]
        assert len(dict(pins)) == len(pins)
        promised = ONEDL if stack.mmcv.startswith('onedl') else OPENMMLAB
        names = re.findall(r'(\S+) (\d[\d.]*\d)', promised)
        assert {*names} <= {*pins, tuple(stack.mmcv.split('=='))}


def test_an_unknown_stack_is_named():
    code = "import os; os.environ['MMKW_SETUP'] = 'newest'; import setup_run"
    answer = subprocess.run(
        [sys.executable, '-c', code], env={'PYTHONPATH': str(ROOT / 'tools' / 'setup')}, capture_output=True, text=True
    )
    assert "MMKW_SETUP='newest'" in answer.stderr and 'onedl' in answer.stderr
    made = subprocess.run(['make', '-n', 'test', 'STACK=newest'], cwd=ROOT, capture_output=True, text=True)
    assert made.returncode and 'STACK=newest: the one other stack is onedl' in made.stderr


def test_the_oldest_versions_are_for_an_old_numpy():
    pins = lock('oldest.txt')
    assert int(pins['numpy'].split('.')[0]) < 2 and int(pins['setuptools'].split('.')[0]) < 81
    assert not pins.keys() & {'torch', 'torchvision', 'mmcv', 'opencv-python', 'opencv-contrib-python', 'pip'}


def test_the_lock_file_is_complete():
    """With --no-deps, pip would silently leave out what an installed package needs."""
    from packaging.requirements import Requirement

    stack = setup_run.STACKS['onedl' if installed_packages().get('onedl-mmengine') else '']
    packages = {pin: version for name in stack.locks for pin, version in lock(name).items()}
    pins = packages.keys() | {'torch', 'torchvision', 'mmcv', 'pip'}
    pins |= {'opencv-python', 'opendatalab'}  # headless serves; openmim fetches data sets with the other
    pins |= {stack.mmcv.split('==')[0], 'imagecorruptions-imaug'}  # the latter only for imaug's own corruptions
    for name in packages:
        for line in importlib.metadata.requires(name) or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({'extra': ''}):
                assert re.sub('[-_.]+', '-', requirement.name.lower()) in pins, f'{name} needs {requirement.name}'


def test_installing_mmkw_touches_neither_torch_nor_openmmlab(monkeypatch):
    arguments = {}
    monkeypatch.setattr('setuptools.setup', lambda **kwargs: arguments.update(kwargs))
    monkeypatch.chdir(ROOT)
    runpy.run_path(str(ROOT / 'setup.py'))
    wanted = [*arguments['install_requires'], *sum(arguments['extras_require'].values(), [])]
    assert not [name for name in wanted if re.match(r'torch|mm|onedl|opencv|numpy', name)]
    assert arguments['version'] == runpy.run_path(str(ROOT / 'mmkw' / 'version.py'))['__version__']
    assert {'mmkw', 'mmkw.ops'} <= set(arguments['packages'])
    assert not [name for name in arguments['packages'] if name.split('.')[0] != 'mmkw']


# --- mmcv ---------------------------------------------------------------------------------------------------------


def test_the_cache_key_tells_builds_apart_that_do_not_fit_each_other():
    keys = [
        setup_mmcv.cache_key(CPU),
        setup_mmcv.cache_key({**CPU, 'version': '2.12.0+cpu'}),
        setup_mmcv.cache_key(CUDA),
        setup_mmcv.cache_key({**CUDA, 'archs': '8.0;9.0+PTX'}),
        setup_mmcv.cache_key({**CUDA, 'cuda_ops': False}),  # torch for CUDA without a GPU has other operators
    ]
    assert len(set(keys)) == len(keys)
    assert keys[0].startswith('mmcv-2.1.0_torch-2.13.0+cpu_cp311_')
    assert all(re.fullmatch(r'[\w.+-]+', key) for key in keys)  # all are valid names of folders


def test_progress_is_read_from_ninjas_lines_only():
    assert setup_mmcv.ninja_progress(NINJA) == (2, 77)
    assert setup_mmcv.ninja_progress('running build_ext\n') is None


def test_the_progress_line():
    assert setup_mmcv.progress_line('', 12) == 'mmcv: preparing, 12 s'
    line = setup_mmcv.progress_line('[34/77] c++ x\n', 310)
    assert line == 'mmcv: 34/77 files compiled in 5 min 10 s, about 6 min 32 s to go'


def test_the_cache_lies_where_the_user_says(checkout, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(checkout / 'xdg'))
    monkeypatch.delenv('MMKW_CACHE', raising=False)
    assert setup_mmcv.cache_root() == checkout / 'xdg' / 'mmkw'
    setup_mmcv.cache_root.cache_clear()
    monkeypatch.setenv('MMKW_CACHE', str(checkout / 'own'))
    assert setup_mmcv.cache_root() == checkout / 'own'


def test_a_cache_that_cannot_be_written_is_replaced_by_one_in_the_environment(checkout, monkeypatch, capsys):
    (checkout / 'file').touch()
    monkeypatch.setenv('MMKW_CACHE', str(checkout / 'file' / 'below'))
    assert setup_mmcv.cache_root() == checkout / '.venv' / 'build'
    assert 'cannot be written' in capsys.readouterr().out


def test_a_missing_compiler_is_said_before_the_build(monkeypatch):
    monkeypatch.setenv('CXX', 'no-such-compiler -O2')
    with pytest.raises(setup_run.SetupError, match='no C.. compiler .`no-such-compiler -O2`.*apt-get install'):
        setup_mmcv.require_compiler(sys.executable)


def test_a_missing_or_other_nvcc_is_said_before_the_build(tmp_path):
    setup_mmcv.require_nvcc(CPU)
    with pytest.raises(setup_run.SetupError, match='need nvcc, and there is none: install the CUDA toolkit 13.0'):
        setup_mmcv.require_nvcc(CUDA)
    nvcc = tmp_path / 'bin' / 'nvcc'
    nvcc.parent.mkdir()
    nvcc.write_text('#!/bin/sh\necho "Cuda compilation tools, release 12.8, V12.8.93"\n')
    nvcc.chmod(0o755)
    with pytest.raises(setup_run.SetupError, match='is of CUDA 12 and torch 2.13.0.cu130 of CUDA 13.0'):
        setup_mmcv.require_nvcc({**CUDA, 'cuda_home': str(tmp_path)})
    setup_mmcv.require_nvcc({**CUDA, 'cuda': '12.6', 'cuda_home': str(tmp_path)})


# --- the precompiled header ---------------------------------------------------------------------------------------

needs_gcc = pytest.mark.skipif(not setup_header.is_gcc(), reason='only GCC gets a precompiled header')


@pytest.fixture
def small_source(monkeypatch, tmp_path):
    """A source of one file and small headers, in the place of mmcv's."""
    source, folder = tmp_path / 'a source', tmp_path / 'a folder'
    for path in (source, folder):
        path.mkdir()
    for name in setup_header.HEADERS:
        (source / name).write_text('#pragma once\n#include <cstddef>\n')
    file = source / 'op.cpp'
    file.write_text('#include "pytorch_cpp_helper.hpp"\nint f(std::size_t n) { return NAME + n; }\n')

    def calls(*flags):
        command = ['c++', '-MMD', '-MF', 'op.o.d', '-O1', f'-I{source}', *flags, '-c', '-c', str(file), '-o', 'op.o']
        call = {'directory': str(source), 'command': shlex.join([*command, '-DNAME=1']), 'file': str(file)}
        monkeypatch.setattr(setup_header, 'compiler_calls', lambda source: [call])
        return call

    calls()
    return source, folder, tmp_path / 'log', calls


def test_flags_are_those_of_the_build(small_source):
    source, *_, calls = small_source
    assert setup_header.flags_of(calls('-g')) == ['c++', '-O1', f'-I{source}', '-g', '-DNAME=1']


@needs_gcc
def test_the_precompiled_header_is_taken_and_kept(small_source, capsys):
    *paths, calls = small_source
    source, folder, _ = paths
    flags = setup_header.precompiled_header(*paths)
    header = folder / 'torch_headers.hpp'
    assert flags == f"-include '{header}' -Winvalid-pch"
    command = [
        'c++',
        '-O1',
        f'-I{source}',
        '-DNAME=1',
        *shlex.split(flags),
        '-H',
        '-c',
        source / 'op.cpp',
        '-o',
        'op.o',
    ]
    listed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stderr
    assert f'! {header}.gch' in listed and 'warning' not in listed
    made = header.with_name(f'{header.name}.gch').stat()
    assert setup_header.precompiled_header(*paths) == flags
    assert header.with_name(f'{header.name}.gch').stat() == made
    calls('-O2')
    assert setup_header.precompiled_header(*paths) == flags
    assert header.with_name(f'{header.name}.gch').stat() != made
    assert capsys.readouterr().out == ''


@needs_gcc
def test_a_header_that_is_not_taken_is_said_and_left_out(small_source, capsys):
    *paths, calls = small_source
    calls('-include', 'cstdio')  # a precompiled header has to be the first
    assert setup_header.precompiled_header(*paths) == ''
    assert 'no precompiled header (the compiler does not take it): compiling without' in capsys.readouterr().out


@needs_gcc
@pytest.mark.parametrize('missing', [0, 1])
def test_a_header_that_cannot_be_made_is_said_and_left_out(small_source, missing, capsys):
    *paths, _ = small_source
    (paths[0] / setup_header.HEADERS[missing]).unlink()
    assert setup_header.precompiled_header(*paths) == ''
    assert 'no precompiled header (' in capsys.readouterr().out
    assert not list(paths[1].glob('*.gch'))


@needs_gcc
def test_a_build_that_cannot_be_asked_is_compiled_without_a_header(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(setup_header, 'PYTHON', Path(sys.executable))
    (tmp_path / 'setup.py').write_text('raise RuntimeError("no build here")')
    assert setup_header.precompiled_header(tmp_path, tmp_path, tmp_path / 'log') == ''
    assert 'no precompiled header (RuntimeError: no build here): compiling without' in capsys.readouterr().out


def test_another_compiler_gets_no_header(monkeypatch, tmp_path, capsys):
    clang = tmp_path / 'clang++'
    clang.write_text('#!/bin/sh\necho "#define __GNUC__ 4"; echo "#define __clang__ 1"\n')
    clang.chmod(0o755)
    for compiler in (str(clang), str(tmp_path / 'none')):
        monkeypatch.setenv('CXX', compiler)
        assert setup_header.precompiled_header(tmp_path, tmp_path, tmp_path / 'log') == ''
    assert capsys.readouterr().out == ''


def test_the_first_line_says_how_long_it_takes(checkout, monkeypatch, capsys):
    monkeypatch.setattr(setup_env, 'STEPS', ())
    monkeypatch.setattr(setup_env, 'require_compiler', lambda python: None)
    monkeypatch.setattr(setup_env, 'fingerprint', lambda: 'wanted')
    monkeypatch.setattr(setup_mmcv, 'is_gcc', lambda: True)
    monkeypatch.setenv('MMKW_CACHE', str(checkout))
    monkeypatch.setenv('MAX_JOBS', '2')
    (checkout / '.venv').mkdir()
    wheel = checkout / 'mmcv' / setup_mmcv.cache_key(CPU) / 'mmcv.whl'

    def first_line():
        setup_env.write_state('')
        setup_env.set_up()
        return capsys.readouterr().out.splitlines()[0]

    assert first_line() == 'environment: building .venv in about 6 min, 3 of them to compile mmcv, once per user'
    monkeypatch.setattr(setup_mmcv, 'is_gcc', lambda: False)
    assert first_line() == 'environment: building .venv in about 14 min, 11 of them to compile mmcv, once per user'
    wheel.parent.mkdir(parents=True)
    wheel.touch()
    assert first_line() == 'environment: building .venv in about 3 min'


# --- Python and the environment -----------------------------------------------------------------------------------


def test_the_first_python_of_the_measured_version_is_taken(monkeypatch):
    monkeypatch.setattr(sys, '_base_executable', '/somewhere/python3.13', raising=False)
    versions = {'/somewhere/python3.13': '3.13', 'python3': '3.10', 'python3.11': '3.11'}
    assert Path(setup_env.find_python(versions.get)).name == 'python3.11'
    with pytest.raises(setup_run.SetupError, match='Python 3.11 is needed .*python3 is 3.10.*PYTHON=/path'):
        setup_env.find_python({**versions, 'python3.11': None}.get)


def test_the_environment_is_never_its_own_base(checkout, monkeypatch):
    fake = checkout / '.venv' / 'bin' / 'python3'
    fake.parent.mkdir(parents=True)
    fake.symlink_to(sys.executable)
    assert setup_env.version_of(sys.executable) == '.'.join(map(str, sys.version_info[:2]))
    assert setup_env.version_of(str(fake)) is None
    assert setup_env.version_of('no-such-python') is None


def test_somebody_elses_venv_is_not_touched(checkout):
    theirs = checkout / '.venv' / 'pyvenv.cfg'
    theirs.parent.mkdir()
    theirs.write_text('theirs')
    with pytest.raises(setup_run.SetupError, match='not made by this script: move it away'):
        setup_env.make_venv()
    assert theirs.read_text() == 'theirs'


def test_a_half_made_venv_is_made_anew(checkout, monkeypatch):
    """After a kill our state file says that the environment was being made."""
    leftover = checkout / '.venv' / 'lib' / 'half'
    leftover.mkdir(parents=True)
    setup_env.write_state(setup_env.CREATING)
    commands = []
    monkeypatch.setattr(setup_env, 'run', lambda command, what: commands.append(command))
    setup_env.make_venv()
    assert len(commands) == 1 and commands[0][1:3] == ['-m', 'venv']
    assert not leftover.exists() and setup_env.read_state() == setup_env.CREATED


def test_a_finished_environment_is_left_alone(checkout, monkeypatch, capsys):
    monkeypatch.setattr(setup_env, 'fingerprint', lambda: 'wanted')
    monkeypatch.setattr(setup_env, 'STEPS', (('a step', lambda: pytest.fail('ran a step')),))
    (checkout / '.venv' / 'bin').mkdir(parents=True)
    (checkout / '.venv' / 'bin' / 'python').touch()
    setup_env.write_state('wanted')
    setup_env.set_up()
    assert capsys.readouterr().out == 'environment: .venv is ready\n'


def test_changed_pins_change_the_fingerprint(monkeypatch, tmp_path):
    before = setup_env.fingerprint()
    assert setup_env.fingerprint() == before
    changed = tmp_path / 'lock.txt'
    changed.write_text('mmdet==3.2.0\n')
    monkeypatch.setattr(setup_env, 'LOCKS', [changed])
    assert setup_env.fingerprint() != before


# --- running commands ---------------------------------------------------------------------------------------------


def test_a_failed_command_shows_its_end_and_what_to_do(tmp_path):
    script = (
        'print("WARNING: Location \'x\' is ignored: it is odd"); '
        'print("c++: fatal error: Killed signal terminated program cc1plus"); raise SystemExit(3)'
    )
    with pytest.raises(setup_run.SetupError) as caught:
        setup_run.run([sys.executable, '-c', script], 'compiling', tmp_path / 'log')
    text = str(caught.value)
    assert 'Killed signal' in text and 'MAX_JOBS=1' in text and str(tmp_path / 'log') in text
    assert 'is ignored' not in text


def test_a_waiting_person_sees_progress(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(setup_run, 'TICK_SECONDS', 0.2)
    script = 'import time; print("[1/2] c++", flush=True); time.sleep(1)'
    command = [sys.executable, '-c', script]
    setup_run.run(command, 'compiling', tmp_path / 'log', progress=setup_mmcv.progress_line)
    assert 'mmcv: 1/2 files compiled' in capsys.readouterr().out


def test_a_second_set_up_waits_for_the_first(tmp_path):
    script = (
        f'import sys; sys.path.insert(0, {str(ROOT / "tools" / "setup")!r}); import setup_run, pathlib\n'
        f'with setup_run.only_one(pathlib.Path({str(tmp_path / "lock")!r})): print("mine", flush=True)'
    )
    with setup_run.only_one(tmp_path / 'lock'):
        second = subprocess.Popen([sys.executable, '-c', script], stdout=subprocess.PIPE, text=True)
        assert 'waiting for it to end' in second.stdout.readline()
        assert second.poll() is None
    assert second.communicate(timeout=60)[0] == 'mine\n'
