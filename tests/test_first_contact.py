"""What a person reads before the code is true: licence, citation, changes, how to contribute, what is needed."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
import torch
import yaml
from mmengine.registry import MODELS

import mmkw
from mmkw.layers import by_definition, dynamic_layers
from mmkw.plans.registry import METHODS
from mmkw.versions import OLDEST

ROOT = Path(__file__).resolve().parents[1]
CONTRIBUTING = (ROOT / 'CONTRIBUTING.md').read_text()
MAKEFILE = (ROOT / 'Makefile').read_text()


def setup_arguments(monkeypatch):
    arguments = {}
    monkeypatch.setattr('setuptools.setup', lambda **kwargs: arguments.update(kwargs))
    monkeypatch.chdir(ROOT)
    runpy.run_path(str(ROOT / 'setup.py'))
    return arguments


def test_one_licence_everywhere(monkeypatch):
    arguments = setup_arguments(monkeypatch)
    assert arguments['license'] == 'Apache-2.0'
    (name,) = arguments['license_files']
    text = (ROOT / name).read_text()
    assert 'Apache License\n' in text and 'Version 2.0, January 2004' in text and 'END OF TERMS AND CONDITIONS' in text
    assert yaml.safe_load((ROOT / 'CITATION.cff').read_text())['license'] == arguments['license']


def test_the_versions_that_are_promised_are_those_that_make_tests(monkeypatch):
    def versions_of(setup):
        code = 'import setup_run; print(setup_run.STACK.python, setup_run.STACK.torch, setup_run.VENV)'
        environment = {**os.environ, 'MMKW_SETUP': setup, 'PYTHONPATH': str(ROOT / 'tools' / 'setup')}
        return subprocess.run([sys.executable, '-c', code], env=environment, stdout=subprocess.PIPE, text=True).stdout

    python, torch_version, venv = versions_of('oldest').split()
    assert venv == str(ROOT / '.venv-oldest')
    assert f'MMKW_SETUP=oldest $(PYTHON) tools/setup/setup_env.py\n\tOMP_NUM_THREADS=1 {Path(venv).name}' in MAKEFILE
    assert setup_arguments(monkeypatch)['python_requires'] == f'>={python}'
    assert f'target-version = "py{python.replace(".", "")}"' in (ROOT / 'pyproject.toml').read_text()
    assert OLDEST['torch'] == '.'.join(torch_version.split('.')[:2])
    install = ' '.join((ROOT / 'README.md').read_text().split('## Install')[1].split('\n## ')[0].split())
    assert f'Python {python}, torch {OLDEST["torch"]}, mmcv {OLDEST["mmcv"]}' in install
    assert f'Python {python} and torch {torch_version}' in install
    python, torch_version, venv = versions_of('').split()
    assert venv == str(ROOT / '.venv')
    assert f'Python {python} and torch {torch_version}' in install


def test_the_citation_is_of_this_version_and_of_the_paper():
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert {'cff-version', 'message', 'title', 'authors'} <= citation.keys()  # what the format requires
    assert citation['version'] == mmkw.__version__
    (paper,) = citation['references']
    bibtex = (ROOT / 'README.md').read_text().split('```bibtex')[1]
    assert f'title={{{paper["title"]}}}' in bibtex and f'year={{{paper["year"]}}}' in bibtex
    names = ' and '.join(f'{author["given-names"]} {author["family-names"]}' for author in paper['authors'])
    assert f'author={{{names}}}' in bibtex


def test_the_newest_changes_are_of_this_version():
    headings = re.findall(r'^## (\S+)', (ROOT / 'CHANGELOG.md').read_text(), re.MULTILINE)
    assert headings[0] == mmkw.__version__


def test_hooks_before_a_commit_are_the_linters_of_make():
    (repo,) = yaml.safe_load((ROOT / '.pre-commit-config.yaml').read_text())['repos']
    recipe = re.search(r'^lint:.*\n((?:\t.*\n)+)', MAKEFILE, re.MULTILINE)[1].replace('$(VENV)', '.venv/bin/python')
    assert [hook['entry'] for hook in repo['hooks']] == [line.strip() for line in recipe.splitlines()]


@pytest.mark.parametrize('page', ['README.md', 'CONTRIBUTING.md'])
def test_targets_of_make_exist(page):
    named = set(re.findall(r'(?:^|`)make ([a-z-]+)', (ROOT / page).read_text(), re.MULTILINE))
    assert named and named <= set(re.findall(r'^([a-z-]+):', MAKEFILE, re.MULTILINE))


def test_files_named_in_contributing_exist():
    code = re.findall(r'`([^`\n]+)`', re.sub(r'```.*?```', '', CONTRIBUTING, flags=re.DOTALL))
    paths = [text for text in code if re.fullmatch(r'[\w./]*(/[\w./]*|\.md|\.py|\.yml)', text)]
    assert len(paths) > 30
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_what_contributing_names_in_a_file_is_there():
    lines = [line for line in CONTRIBUTING.splitlines() if line.startswith('| `')]
    named = [
        (path, name)
        for line in lines
        for path in re.findall(r'`([\w/]+\.py)`', line)
        for name in re.findall(r'`@?(\w*[A-Z_]\w*)`', line)
        if 'conv_cfg' not in name
    ]
    assert len(named) > 12
    files = {}
    for path, name in named:
        files.setdefault(name, []).append((ROOT / path).read_text())
    assert not [name for name, texts in files.items() if not any(re.search(rf'\b{name}\b', text) for text in texts)]


def test_the_method_of_contributing_works():
    example = re.search(r'```python\n(.*?)```', CONTRIBUTING, re.DOTALL)[1]
    with mock.patch.dict(METHODS):
        exec(example, {'__name__': 'scaled'})
        small = dict(type='PlainResNet', depth=18, stem_channels=16, base_channels=16)
        method = dict(type='Scaled')
        backbone = MODELS.build(dict(type='ConvertedBackbone', backbone=small, method=method)).double().eval()
    # Two convolutions in each of 8 blocks and three shortcuts.
    assert len(dynamic_layers(backbone)) == 19
    x = torch.randn(2, 3, 32, 32, dtype=torch.double)
    (out,) = backbone(x)
    with by_definition(backbone):
        (expected,) = backbone(x)
    torch.testing.assert_close(out, expected, rtol=1e-10, atol=1e-10)
    out.sum().backward()
    assert all(layer.fc.weight.grad.any() for layer in dynamic_layers(backbone).values())
