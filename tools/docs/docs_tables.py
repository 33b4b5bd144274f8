"""Writes the pages that follow from other files: the table of configs, the head of each config, the reference."""

from __future__ import annotations

import ast
import functools
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import yaml

from docs_pages import ROOT

METRICS = {'Top 1 Accuracy': 'top-1', 'Top 5 Accuracy': 'top-5', 'box AP': 'box AP', 'mask AP': 'mask AP'}
# Method page -> its collection in the metafile, and what of mmkw a reader of the page looks for.
METHODS = {
    'se': ('SE', ['mmkw.layers.SE', 'mmkw.plans.gates.se']),
    'cbam': ('CBAM', ['mmkw.layers.CBAM', 'mmkw.plans.gates.cbam']),
    'eca': ('ECA', ['mmkw.layers.ECA', 'mmkw.plans.gates.eca']),
    'cgc': ('CGC', ['mmkw.layers.CGCConv2d', 'mmkw.plans.methods.cgc']),
    'weightnet': ('WeightNet', ['mmkw.layers.WeightNetConv2d', 'mmkw.plans.methods.weightnet']),
    'condconv': ('CondConv', ['mmkw.layers.CondConv2d', 'mmkw.plans.methods.condconv']),
    'dyconv': ('DY-Conv', ['mmkw.layers.DYConv2d', 'mmkw.plans.methods.dyconv']),
    'dcd': ('DCD', ['mmkw.layers.DCDConv2d', 'mmkw.plans.dcd.dcd']),
    'odconv': ('ODConv', ['mmkw.layers.ODConv2d', 'mmkw.plans.methods.odconv']),
    'kernel_warehouse': (
        'KernelWarehouse',
        ['mmkw.layers.KWConv2d', 'mmkw.layers.KWLinear', 'mmkw.layers.WarehousePlan', 'mmkw.models.KWResNet'],
    ),
}
# Page of the reference -> what it is about, and the modules whose public names it has.
REFERENCE = {
    'mmkw': ('Converting networks, and their temperature and memory.', ['mmkw']),
    'models': ('What configs name: backbones and heads.', ['mmkw.models']),
    'layers': ('What can stand in the place of a plain layer, and the specs that put it there.', ['mmkw.layers']),
    'plans': ('Which layers of a network become what.', ['mmkw.plans']),
    'methods': (
        'The ten methods, as `method=dict(type=...)` of a `ConvertedBackbone` takes them.',
        ['mmkw.plans.methods', 'mmkw.plans.gates', 'mmkw.plans.dcd'],
    ),
    'conversion': ('From a plain network to a dynamic one and back.', ['mmkw.conversion']),
    'checkpoints': ('Published and plain checkpoints in, plain ones out.', ['mmkw.checkpoints']),
    'engine': ("What touches mmengine's runner.", ['mmkw.engine', 'mmkw.engine.launch']),
    'inspection': ('Parameters, multiply-adds and attention maps.', ['mmkw.inspection']),
    'export': ('ONNX.', ['mmkw.export']),
    'ops': ('The arithmetic on tensors.', ['mmkw.ops']),
}


@functools.cache
def models() -> list[dict[str, Any]]:
    """The models of configs/metafile.yml."""
    return yaml.safe_load((ROOT / 'configs' / 'metafile.yml').read_text())['Models']


def method_of(model: Mapping[str, Any]) -> str:
    """The method of a model; the metafile lists plain networks as KernelWarehouse's baselines."""
    name = model['Name']
    is_plain = model['In Collection'] == 'KernelWarehouse' and 'kw' not in name.replace('mask_rcnn_', '').split('_')[0]
    return 'plain' if is_plain else model['In Collection']


def published(model: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Published results as text, each with who published it."""
    found = []
    for result in model['Results']:
        values = [f'{METRICS[name]} {value:.{1 if "AP" in name else 2}f}' for name, value in result['Metrics'].items()]
        by = result['Source'].replace('published', "KernelWarehouse's release or paper")
        found.append((', '.join(values), by))
    return found


def configs_page() -> str:
    """A page with all models in one table, which docs_table.js can narrow down."""
    heads = ('config', 'method', 'data', 'parameters, M', 'multiply-adds, G', 'published', 'by whom')
    rows = []
    for model in models():
        figures = model['Metadata']
        results = published(model) or [('not found', '')]
        link = f'<a href="files/{model["Config"]}.html">{model["Name"]}</a>'
        cells = (
            link,
            method_of(model),
            escape(str(figures['Training Data'])),
            f'{figures["Parameters"] / 1e6:.2f}',
            f'{figures["FLOPs"] / 1e9:.3f}',
            '<br>'.join(escape(text) for text, _ in results),
            '<br>'.join(escape(source) for _, source in results),
        )
        rows.append('<tr>' + ''.join(f'<td>{cell}</td>' for cell in cells) + '</tr>')
    return (
        '---\nhide: [toc, navigation]\n---\n\n# Configs\n\n'
        'All models of `configs/metafile.yml`. **Results are as published by those named beside them; mmkw has trained '
        'none of these models.** Parameters and multiply-adds are ours: ImageNet at 224 x 224, COCO without heads at '
        '800 x 1216. Configs of the demos and the study are in [demo.md](demo.md) and [study.md](study.md).\n\n'
        '<label>Search: <input id="table-filter" type="search" placeholder="r50 odconv"></label> '
        f'<span id="table-count">{len(rows)} of {len(rows)}</span>\n\n'
        '<table id="models"><thead><tr>'
        + ''.join(f'<th>{head}</th>' for head in heads)
        + '</tr></thead><tbody>'
        + ''.join(rows)
        + '</tbody></table>\n'
    )


def config_head(path: str) -> str:
    """What the metafile says of a config, '' if it does not list it."""
    model = next((model for model in models() if model['Config'] == path), None)
    if model is None:
        return ''
    lines = [
        f'Method: {method_of(model)}. Parameters: {model["Metadata"]["Parameters"]:,}. '
        f'Multiply-adds: {model["Metadata"]["FLOPs"]:,}.'
    ]
    lines += [f'Published: {text} ({source}).' for text, source in published(model)]
    return '\n\n'.join(lines)


def method_foot(page: str) -> str:
    """The end of a method's page: its reference and its configs, as `docs_pages.copy_pages` puts them there."""
    collection, names = METHODS[page]
    listed = [model for model in models() if method_of(model) == collection]
    reference = ', '.join(f'[`{name}`][{name}]' for name in names)
    rows = [
        f'| [{model["Name"]}](../files/{model["Config"]}.md) | {model["Metadata"]["Parameters"] / 1e6:.2f} '
        f'| {"; ".join(text for text, _ in published(model)) or "not found"} |'
        for model in listed
    ]
    table = '\n'.join(['| config | parameters, M | published |', '|---|---|---|', *rows])
    return f'\n## Configs\n\nResults are as published; mmkw has trained none.\n\n{table}\n\nReference: {reference}\n'


def public_names(module: str) -> list[str]:
    """What the reference shows of a module: its ``__all__``, or else its own public functions and classes."""
    path = ROOT.joinpath(*module.split('.'))
    path = path / '__init__.py' if path.is_dir() else path.with_suffix('.py')
    tree = ast.parse(path.read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == '__all__':
            names = ast.literal_eval(node.value)
            return [name for name in names if not name.startswith('_') and not _is_module(path.parent / name)]
    defined = [node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    return [name for name in defined if not name.startswith('_')]


def _is_module(path: Path) -> bool:
    return path.is_dir() or path.with_suffix('.py').is_file()


def reference_page(page: str) -> str:
    """A page of the reference; mkdocstrings reads the docstrings where it says ``:::``."""
    about, modules = REFERENCE[page]
    parts = [f'# {modules[0] if page != "methods" else "The ten methods"}\n\n{about}']
    parts += [f'::: {module}.{name}' for module in modules for name in public_names(module)]
    return '\n\n'.join(parts) + '\n'


def reference_index() -> str:
    """The first page of the reference."""
    rows = [f'| [{page}]({page}.md) | {about} |' for page, (about, _) in REFERENCE.items()]
    return '\n'.join(
        [
            '# Reference\n\nFrom the docstrings: arguments, shapes, defaults and errors of everything public.\n',
            '| page | what is there |',
            '|---|---|',
            *rows,
            '',
        ]
    )
