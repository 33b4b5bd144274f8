"""Runs a notebook from a fresh kernel, in `.venv-docs`, and writes it with what it printed and drew.

    .venv-docs/bin/python tools/docs/docs_notebook.py docs/tutorial.ipynb docs/tutorial.ipynb

The second file is written only if every cell ran.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parents[2]
SECONDS_PER_CELL = 1200  # far more than any takes on an idle machine


def run(source: Path, target: Path) -> None:
    """Run all cells.

    Args:
        source: The notebook.
        target: Where to write it with its outputs.

    Raises:
        SystemExit: If a cell fails; the message is its traceback.
    """
    notebook = nbformat.read(source, as_version=4)
    client = NotebookClient(notebook, timeout=SECONDS_PER_CELL, resources={'metadata': {'path': str(ROOT)}})
    try:
        client.execute()
    except CellExecutionError as error:
        sys.exit(str(error))
    for cell in notebook.cells:
        cell.metadata.pop('execution', None)  # the times of this run
    part = Path(f'{target}.part')
    nbformat.write(notebook, part)
    part.replace(target)


if __name__ == '__main__':
    run(*map(Path, sys.argv[1:3]))
