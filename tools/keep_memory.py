"""Starts a tool again with glibc told to keep freed memory; standard library only, since it runs before torch loads."""

import glob
import os
import platform
import sys

# glibc gives large blocks back to the system after every layer and asks for them again, zeroed: up to half of the time
# of a training step on a CPU.
_SETTINGS = {
    'MALLOC_MMAP_THRESHOLD_': str(2**32),
    'MALLOC_TRIM_THRESHOLD_': str(2**32),
    'MALLOC_TOP_PAD_': str(2**28),
}


def environment() -> dict[str, str]:
    """What to add to the environment: nothing with a GPU, another libc, or an allocator that the user has set up."""
    chosen = any(name.startswith('MALLOC_') for name in os.environ) or 'GLIBC_TUNABLES' in os.environ
    allocator = any(name in os.environ.get('LD_PRELOAD', '') for name in ('malloc', 'mimalloc'))
    if chosen or allocator or platform.libc_ver()[0] != 'glibc' or glob.glob('/dev/nvidia[0-9]*'):
        return {}
    return dict(_SETTINGS)


def keep_memory() -> None:
    """Start this program again, once, with :func:`environment`; call it first where a file runs as a program."""
    added = environment()
    if added:
        command = getattr(sys, 'orig_argv', None) or [sys.executable, *sys.argv]  # Python 3.10
        os.execve(sys.executable, [sys.executable, *command[1:]], {**os.environ, **added})
