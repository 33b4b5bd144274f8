"""What counts as the same code, config and data."""

import sys

import pytest

from mmkw.study import provenance as module
from mmkw.study.provenance import difference, provenance


def settings(tiny, number=0):
    module._data_hash.cache_clear()
    return provenance(tiny.study().runs[number].settings())


def test_seeds_share_everything(tiny):
    assert difference(settings(tiny, 0), settings(tiny, 2)) is None


def test_options_of_the_study_are_part_of_the_config(tiny):
    assert difference(settings(tiny, 0), settings(tiny, 1)) == 'config (settings)'


def test_a_changed_listing_is_other_data(tiny):
    before = settings(tiny)
    (tiny.folder / 'images' / 'cat' / '2.png').write_text('b')
    assert difference(before, settings(tiny)) == 'data (images)'


def test_a_changed_annotation_is_other_data(tiny):
    tiny.change('plain.py', "data_root='images'", "data_root='images', ann_file='list.txt'")
    (tiny.folder / 'images' / 'list.txt').write_text('cat/1.png 0')
    before = settings(tiny)
    (tiny.folder / 'images' / 'list.txt').write_text('cat/1.png 1')
    assert difference(before, settings(tiny)) == 'data (images/list.txt)'


@pytest.mark.parametrize(
    'source, same', [('def f():\n    """Doc."""\n    return  1  # one\n', True), ('def f():\n    return 2\n', False)]
)
def test_code_is_what_it_does(tiny, monkeypatch, source, same):
    monkeypatch.syspath_prepend(tiny.folder)
    monkeypatch.delitem(sys.modules, 'own_layers', raising=False)
    tiny.change('plain.py', "imports=['mmkw']", "imports=['own_layers']")
    (tiny.folder / 'own_layers.py').write_text('def f():\n    """Other."""\n    return 1\n')
    before = settings(tiny)
    assert 'mmkw' in before['code']
    (tiny.folder / 'own_layers.py').write_text(source)
    assert difference(before, settings(tiny)) == (None if same else 'code (own_layers)')
