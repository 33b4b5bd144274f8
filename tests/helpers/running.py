"""Runs tools as a user does."""

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TINY_MASK_RCNN = ROOT / 'tests' / 'end_to_end' / 'tiny_mask_rcnn.py'
TINY_CLASSIFIER = ROOT / 'tests' / 'end_to_end' / 'tiny_classifier.py'


def free_port():
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return str(probe.getsockname()[1])


def run_tool(name, *arguments, cwd, status=0, **environment):
    """Run tools/<name> in a folder, and return what it printed on stdout and stderr together."""
    program = 'bash' if name.endswith('.sh') else sys.executable
    return run(program, ROOT / 'tools' / name, *arguments, cwd=cwd, status=status, **environment)


def run(*command, cwd, status=0, **environment):
    """Run a command in a folder, where Python finds this mmkw; what it printed on stdout and stderr together."""
    environment = {**os.environ, 'PYTHON': sys.executable, **environment}
    environment['PYTHONPATH'] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))
    environment['OMP_NUM_THREADS'] = '1'  # the networks are tiny, and on a busy machine threads wait for each other
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert result.returncode == status, result.stdout[-4000:]
    return result.stdout
