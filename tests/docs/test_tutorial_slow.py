"""The tutorial runs from its first cell to its last, and what it shows is what it printed."""

import json
import os
import subprocess
import sys

import pytest

import docs_env
from docs_pages import ROOT

NOTEBOOK = ROOT / 'docs' / 'tutorial.ipynb'


def outputs(path):
    cells = json.loads(path.read_text())['cells']
    return [output for cell in cells if cell['cell_type'] == 'code' for output in cell['outputs']]


def printed(path):
    return ''.join(''.join(output.get('text', '')) for output in outputs(path))


def test_what_the_site_shows_is_whole_and_small():
    assert all(output['output_type'] != 'error' for output in outputs(NOTEBOOK))
    assert [output for output in outputs(NOTEBOOK) if 'image/jpeg' in output.get('data', {})]
    assert 'mask: mAP' in printed(NOTEBOOK)
    assert NOTEBOOK.stat().st_size < 150_000  # git keeps every version


@pytest.mark.slow
def test_every_cell_runs(tmp_path):
    subprocess.run([sys.executable, ROOT / 'tools' / 'setup' / 'docs_env.py'], check=True)
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'MMKW_TUTORIAL': str(tmp_path / 'files')}
    command = [
        docs_env.DOCS / 'bin' / 'python',
        ROOT / 'tools' / 'docs' / 'docs_notebook.py',
        NOTEBOOK,
        tmp_path / 'run',
    ]
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert result.returncode == 0, result.stdout[-4000:]
    lines = printed(tmp_path / 'run').splitlines()
    assert 'train: 160 images, 376 objects' in lines and 'temperature 0.99 -> 0.60' in lines
    (box,) = (line for line in lines if line.startswith('box: '))
    assert float(box.split('mAP_50 ')[1].split(',')[0]) > 0.3  # one run gave 0.70
