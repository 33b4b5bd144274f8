"""The settings of glibc that the tools start themselves again with."""

import os
import subprocess
import sys

import pytest

import keep_memory
from running import ROOT

PRINTS = "from keep_memory import keep_memory; keep_memory(); import os; print(os.environ['MALLOC_TOP_PAD_'])"


@pytest.fixture
def glibc(monkeypatch):
    """A machine with glibc, without a GPU, on which nothing has been set."""
    for name in [name for name in os.environ if name.startswith('MALLOC_')] + ['GLIBC_TUNABLES', 'LD_PRELOAD']:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(keep_memory.platform, 'libc_ver', lambda: ('glibc', '2.36'))
    monkeypatch.setattr(keep_memory.glob, 'glob', lambda _: [])


def test_settings_on_a_cpu(glibc):
    assert keep_memory.environment().keys() == {'MALLOC_MMAP_THRESHOLD_', 'MALLOC_TRIM_THRESHOLD_', 'MALLOC_TOP_PAD_'}


@pytest.mark.parametrize(
    'name, value',
    [('MALLOC_ARENA_MAX', '2'), ('GLIBC_TUNABLES', 'glibc.malloc.hugetlb=1'), ('LD_PRELOAD', '/lib/libjemalloc.so.2')],
)
def test_what_the_user_has_set_up_stays(glibc, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert keep_memory.environment() == {}


def test_nothing_with_a_gpu(glibc, monkeypatch):
    monkeypatch.setattr(keep_memory.glob, 'glob', lambda _: ['/dev/nvidia0'])
    assert keep_memory.environment() == {}


def test_nothing_with_another_libc(glibc, monkeypatch):
    monkeypatch.setattr(keep_memory.platform, 'libc_ver', lambda: ('', ''))
    assert keep_memory.environment() == {}


def test_starts_again_once_with_the_same_arguments(tmp_path):
    script = tmp_path / 'script.py'
    script.write_text(f'import sys; sys.path.insert(0, {str(ROOT / "tools")!r}); {PRINTS}; print(sys.argv[1:])')
    environment = {name: value for name, value in os.environ.items() if not name.startswith('MALLOC_')}
    for name in ('GLIBC_TUNABLES', 'LD_PRELOAD'):
        environment.pop(name, None)
    if not keep_memory.environment() and 'MALLOC_TOP_PAD_' not in os.environ:
        pytest.skip('no glibc, a GPU, or an allocator set up by the user')
    result = subprocess.run(
        [sys.executable, script, 'a b'], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines() == [str(2**28), "['a b']"]
