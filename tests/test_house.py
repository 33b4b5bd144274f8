"""The layout of the package: imports go one way, and no file or function outgrows its idea."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / 'mmkw'
FILES = sorted(PACKAGE.rglob('*.py'))
# Room -> the rooms that it may import from.
ROOMS = {
    'ops': set(),
    'layers': {'ops'},
    'plans': {'layers', 'ops'},
    'conversion': {'layers', 'ops'},
    'inspection': {'layers', 'ops'},
    'config': set(),
    'utils': set(),
    '__main__': set(),
    'version': set(),
    'versions': set(),
    'checkpoints': {'config', 'conversion', 'layers', 'version'},
    'models': {'checkpoints', 'config', 'conversion', 'layers', 'plans'},
    'engine': {'checkpoints', 'config', 'conversion', 'layers'},
    'export': {'checkpoints', 'config', 'inspection', 'layers', 'ops'},
    'demo': set(),
    'study': {'checkpoints', 'config', 'demo', 'engine', 'inspection', 'versions'},
}
TORCH_ONLY = ('ops', 'layers', 'plans', 'conversion')
FOR_ALL_METHODS = ('conversion', 'inspection', 'export', 'engine')
METHODS = ('KWConv', 'KWLinear', 'KWAttention', 'Warehouse', 'ODConv', 'DYConv', 'CondConv', 'DCD', 'CGC', 'WeightNet')
IDS = [str(path.relative_to(PACKAGE)) for path in FILES]


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix('').parts[0]


def imported(path: Path) -> set[str]:
    """Full names of the modules, or members of modules, that a file imports."""
    names = set()
    package = ('mmkw', *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = [*package[: len(package) - node.level + 1]] if node.level else []
            module = '.'.join([*start, *([node.module] if node.module else [])])
            names |= {f'{module}.{alias.name}' for alias in node.names}
    return names


@pytest.mark.parametrize('path', FILES, ids=IDS)
def test_rooms_import_from_those_below_them(path):
    room = room_of(path)
    if room == '__init__':
        return
    used = {name.split('.')[1] for name in imported(path) if name.startswith('mmkw.')} - {room}
    assert used <= ROOMS[room]


def test_no_two_rooms_import_each_other():
    order: list[str] = []
    while len(order) < len(ROOMS):
        below = [room for room, used in ROOMS.items() if room not in order and used <= set(order)]
        assert below, f'in a circle: {set(ROOMS) - set(order)}'
        order += below


@pytest.mark.parametrize('path', [p for p in FILES if room_of(p) in TORCH_ONLY], ids=str)
def test_the_lower_rooms_import_torch_and_the_standard_library(path):
    assert not {name for name in imported(path) if name.split('.')[0] in ('mmengine', 'mmcv', 'mmdet', 'mmpretrain')}


@pytest.mark.parametrize('path', FILES, ids=IDS)
def test_files_and_functions_stay_short(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, node.name


@pytest.mark.parametrize(
    'path', [p for p in FILES if room_of(p) in ('conversion', 'inspection', 'export', 'engine')], ids=str
)
def test_no_method_is_named_where_all_are_meant(path):
    names = {
        node.id if isinstance(node, ast.Name) else node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.Name, ast.alias))
    }
    methods = (
        'KWConv',
        'KWLinear',
        'KWAttention',
        'Warehouse',
        'ODConv',
        'DYConv',
        'CondConv',
        'DCD',
        'CGC',
        'WeightNet',
    )
    assert not [name for name in names if name.startswith(methods)]
