"""Starts a tool again with glibc told to keep freed memory.

It imports the standard library only, since it runs before torch is loaded.
"""

import glob
import os
import platform
import sys

# By default glibc gives large blocks back to the system after every layer and gets them again, filled with zeros. This
# takes up to half of the time of a training step on a CPU.
_SETTINGS = {
    'MALLOC_MMAP_THRESHOLD_': str(2**32),
    'MALLOC_TRIM_THRESHOLD_': str(2**32),
    'MALLOC_TOP_PAD_': str(2**28),
}


def environment() -> dict[str, str]:
    """Variables to add to the environment; none with a GPU, another libc, or an allocator that the user has set up."""
    chosen = any(name.startswith('MALLOC_') for name in os.environ) or 'GLIBC_TUNABLES' in os.environ
    allocator = any(name in os.environ.get('LD_PRELOAD', '') for name in ('malloc', 'mimalloc'))
    if chosen or allocator or platform.libc_ver()[0] != 'glibc' or glob.glob('/dev/nvidia[0-9]*'):
        return {}
    return dict(_SETTINGS)


def keep_memory() -> None:
    """Start this program again, once, with :func:`environment`. A tool calls it before it imports anything heavy."""
    added = environment()
    if added:
        command = getattr(sys, 'orig_argv', None) or [sys.executable, *sys.argv]  # Python 3.9 has no orig_argv
        os.execve(sys.executable, [sys.executable, *command[1:]], {**os.environ, **added})
