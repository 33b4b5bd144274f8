"""What the documentation site is made of: its links, its pages of the methods, its table of configs."""

import functools
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from unittest import mock

import pytest
import torch
from mmengine.registry import MODELS, DefaultScope

import docs_env
import mmkw  # noqa: F401 - registers what the pages' examples name
from docs_links import broken_links
from docs_pages import ROOT, site_path, with_site_links
from docs_pictures import PICTURES, svg
from docs_tables import METHODS, REFERENCE, configs_page, method_of, models, public_names, published
from mmkw.plans.registry import METHODS as REGISTERED

PAGES = ROOT / 'docs' / 'methods'
CODE = re.compile(r'^```python\n(.*?)^```', re.DOTALL | re.MULTILINE)


def test_a_link_leads_to_the_page_of_the_site():
    found: set[str] = set()
    text = with_site_links(
        '[a](../README.md#models) ![b](demo_curves.png) [c](https://a.b) [d](#e)', 'docs/demo.md', found
    )
    assert text == '[a](index.md#models) ![b](demo_curves.png) [c](https://a.b) [d](#e)\n'
    assert found == {'README.md', 'docs/demo_curves.png'}
    assert site_path('configs/imagenet/r18_in1k.py') == 'files/configs/imagenet/r18_in1k.py.md'


def test_code_has_no_links():
    text = '```\n[a](nowhere.md)\n```\n'
    assert with_site_links(text, 'docs/demo.md', set()) == text


@pytest.mark.parametrize('target', ['nowhere.md', '../../outside.md', '../docs'])
def test_a_link_to_no_file_is_an_error(target):
    with pytest.raises(ValueError, match=f'docs/demo.md links to {target}, and there is no such file'):
        with_site_links(f'[a]({target})', 'docs/demo.md', set())


def test_broken_links_of_a_site_are_found(tmp_path):
    (tmp_path / 'a.html').write_text('<h1 id="top">A</h1><a href="b.html#end">b</a><a href="https://c.d">c</a>')
    (tmp_path / 'b.html').write_text('<a href="a.html#top">a</a><p id="end">')
    assert broken_links(tmp_path) == []
    (tmp_path / 'b.html').write_text(
        '<a href="a.html#bottom">a</a><img src="c.png"><a href="../x.html">x</a><script src="https://e.f/g.js"></script>'
    )
    assert broken_links(tmp_path) == [
        'a.html: a b.html#end: the page has no such heading',
        'b.html: a a.html#bottom: the page has no such heading',
        'b.html: img c.png: there is no such file',
        'b.html: a ../x.html: there is no such file',
        'b.html: script https://e.f/g.js: the page needs a file of another host',
    ]


def test_every_method_has_a_page_and_a_picture():
    assert METHODS.keys() == PICTURES.keys() == {path.stem for path in PAGES.glob('*.md')} - {'index'}
    named = {re.search(r"type='(\w+)'", text)[1] for text in re.findall(r'method=dict\(.*', pages_text())}
    assert named | {'KernelWarehouse'} == set(REGISTERED)
    for page, picture in PICTURES.items():
        assert len(ElementTree.fromstring(svg(picture, page))) > 5


def pages_text():
    return '\n'.join(path.read_text() for path in sorted(PAGES.glob('*.md')))


@pytest.mark.parametrize('page', METHODS)
def test_the_example_of_a_method_builds(page):
    (code,) = CODE.findall((PAGES / f'{page}.md').read_text())
    names: dict = {}
    exec(code, names)
    cfgs = names.get('model', names)
    # mmpretrain reads its stochastic depth rates from a tensor.
    on_cpu = mock.patch('torch.linspace', functools.partial(torch.linspace, device='cpu'))
    with torch.device('meta'), on_cpu, DefaultScope.overwrite_default_scope('mmpretrain'):
        backbone = MODELS.build(cfgs['backbone'])
        out = backbone.eval()(torch.zeros(2, 3, 64, 64))
        if 'head' in cfgs:
            MODELS.build(cfgs['head'])
    assert out[-1].shape == (2, 512, 2, 2)


def test_the_table_of_configs_has_every_model_once():
    rows = configs_page().count('<tr>') - 1
    assert rows == len(models()) == len({model['Config'] for model in models()})
    plain = {model['Name'] for model in models() if method_of(model) == 'plain'}
    assert {'r18_in1k', 'r18_100e_in1k', 'mask_rcnn_r50_1x_coco', 'deit_t_in1k'} <= plain
    assert not [name for name in plain if 'kw' in name]


def test_results_are_shown_with_who_published_them():
    page = configs_page()
    for model in models():
        for text, source in published(model):
            assert source
            assert f'<td>{text}<' in page or f'<br>{text}<' in page
    (kw,) = (model for model in models() if model['Name'] == 'kw1d2_r50_in1k')
    assert published(kw) == [('top-1 79.30, top-5 94.71', "KernelWarehouse's release or paper")]


def test_the_reference_has_what_the_rooms_export():
    assert 'ODConv2d' in public_names('mmkw.layers') and 'KWResNet' in public_names('mmkw.models')
    assert 'kernel_warehouse' in public_names('mmkw.plans.methods')
    assert 'flops' not in public_names('mmkw.ops')  # a module
    rooms = {path.parent.name for path in Path(mmkw.__file__).parent.glob('*/__init__.py')}
    assert rooms - {'demo', 'study'} <= REFERENCE.keys()


def test_the_packages_of_the_site_are_pinned():
    lines = [line for line in docs_env.LOCK.read_text().splitlines() if not line.startswith('#')]
    assert all(re.fullmatch(r'[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*', line) for line in lines)


def test_somebody_elses_environment_is_not_touched(tmp_path, monkeypatch):
    theirs = tmp_path / '.venv-docs' / 'pyvenv.cfg'
    theirs.parent.mkdir()
    theirs.write_text('theirs')
    monkeypatch.setattr(docs_env, 'DOCS', tmp_path / '.venv-docs')
    monkeypatch.setattr(docs_env, 'STATE', tmp_path / '.venv-docs' / '.mmkw-docs')
    monkeypatch.setattr(docs_env, 'LOCK', docs_env.LOCK)
    monkeypatch.setattr(docs_env, 'ROOT', tmp_path)
    with pytest.raises(docs_env.SetupError, match='not made by this script: move it away'):
        docs_env.set_up()
    assert theirs.read_text() == 'theirs'


def test_without_rights_no_browser_is_installed_and_it_is_said(monkeypatch, capsys):
    monkeypatch.setattr(docs_env.shutil, 'which', lambda name: None)
    monkeypatch.setattr(docs_env, 'run', lambda *args: pytest.fail('ran a command'))
    docs_env.install_browser()
    assert 'apt-get install -y --no-install-recommends chromium chromium-driver' in capsys.readouterr().out
