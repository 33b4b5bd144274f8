"""Runs tools as a user does."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TINY_MASK_RCNN = ROOT / 'tests' / 'end_to_end' / 'tiny_mask_rcnn.py'
TINY_CLASSIFIER = ROOT / 'tests' / 'end_to_end' / 'tiny_classifier.py'


def run_tool(name, *arguments, cwd, status=0, **environment):
    """Runs tools/<name> in a folder; what it printed, both channels together."""
    command = ['bash' if name.endswith('.sh') else sys.executable, ROOT / 'tools' / name, *arguments]
    environment = {**os.environ, 'PYTHON': sys.executable, **environment}
    environment['PYTHONPATH'] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))
    environment['OMP_NUM_THREADS'] = '1'  # tiny networks; more threads wait for each other on a busy machine
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
