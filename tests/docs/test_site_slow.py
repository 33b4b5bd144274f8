"""The site as a whole: built with warnings as errors, and opened in a real browser."""

import os
import shutil
import subprocess
import sys

import pytest

import docs_env
from docs_pages import ROOT

pytestmark = pytest.mark.slow
PYTHON = docs_env.DOCS / 'bin' / 'python'


def run(*command, **environment):
    result = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env={**os.environ, 'OMP_NUM_THREADS': '1', **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-4000:]
    return result.stdout


@pytest.fixture(scope='module')
def docs_python():
    run(sys.executable, ROOT / 'tools' / 'setup' / 'docs_env.py')  # `make test` has done it before
    return PYTHON


@pytest.fixture(scope='module')
def site(docs_python, tmp_path_factory):
    out = tmp_path_factory.mktemp('site') / 'site'
    run(docs_python, 'tools/docs/docs_build.py', '--out', out)
    return out


def test_every_page_is_built(site):
    for page in ('index', 'comparison', 'configs', 'scale', 'tutorial', 'methods/odconv', 'api/layers'):
        assert '<h1' in (site / f'{page}.html').read_text()
    assert (site / 'files' / 'configs' / 'imagenet' / 'kw1x_r18_in1k.py.html').is_file()


def test_a_reader_finds_the_way(docs_python, site):
    if not (shutil.which('chromedriver') and any(map(shutil.which, docs_env.BROWSERS))):
        pytest.skip(f'no Chromium with its driver here: `{" ".join(docs_env.APT)}` installs both (Debian, as root)')
    printed = run(docs_python, 'tools/docs/docs_browse.py', site)
    assert len(printed.splitlines()) == 10
