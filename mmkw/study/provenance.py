"""What a run's result depends on, as hashes: code, config and data."""

import ast
import functools
import hashlib
import importlib.util
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Optional

from mmengine.config import Config

from mmkw.engine.preflight import needed_files
from mmkw.versions import installed_packages

# Parts of mmkw in which nothing is trained, so that a better table costs no run; .mim is in an installed package only.
_WITHOUT_TRAINING = ('.mim', 'demo', 'export', 'inspection', 'study')
_OF_OTHERS = ('mmengine', 'mmcv', 'mmdet', 'mmpretrain', 'torch')


def provenance(cfg: Config) -> dict[str, dict[str, str]]:
    """What a training depends on.

    Args:
        cfg: The config as it is trained. Its seed does not count.

    Returns:
        ``'code'``: hashes of mmkw and of what ``custom_imports`` names, and versions of the packages;
        ``'config'``: a hash of all settings; ``'data'``: hashes of the files that are read, and of the listings (names
        and sizes) of image folders.
    """
    # mmkw is imported first by its own tools, whether a config names it or not.
    modules = ['mmkw', *((cfg.get('custom_imports') or {}).get('imports') or [])]
    code = {name: _code_hash(name) for name in sorted({module.split('.')[0] for module in modules} - {*_OF_OTHERS})}
    settings = cfg.to_dict()
    settings['randomness'] = {key: value for key, value in settings.get('randomness', {}).items() if key != 'seed'}
    return {
        'code': {**code, **installed_packages()},
        'config': {'settings': _sha(json.dumps(_sortable(settings), sort_keys=True))},
        'data': {path: _data_hash(os.path.abspath(path)) for path in _local_files(cfg)},
    }


def difference(before: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]) -> Optional[str]:
    """What differs between two :func:`provenance`, in words; None if nothing does."""
    for part in ('code', 'config', 'data'):
        old, new = before[part], now[part]
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        if names:
            return f'{part} ({", ".join(names)})'
    return None


def _local_files(cfg: Config) -> Iterator[str]:
    paths = {os.path.expanduser(path): None for _, path in needed_files(cfg, 'train') if '://' not in path}
    return iter(paths)


@functools.cache
def _data_hash(path: str) -> str:
    """Hash of a file's content or a folder's listing; once per process, since seeds share their data."""
    if os.path.isfile(path):
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    listing = []
    for folder, _, names in os.walk(path):
        relative = os.path.relpath(folder, path)
        listing += [f'{relative}/{name} {os.path.getsize(os.path.join(folder, name))}' for name in names]
    return _sha('\n'.join(sorted(listing)))


def _code_hash(name: str) -> str:
    """Hash of what a package or module does: comments, docstrings and layout do not count."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.origin:
        return 'no source'
    origin = Path(spec.origin)
    root = origin.parent
    files = sorted(root.rglob('*.py')) if origin.name == '__init__.py' else [origin]
    if name == 'mmkw':
        files = [file for file in files if file.relative_to(root).parts[0] not in _WITHOUT_TRAINING]
    return _sha('\n'.join(f'{file.relative_to(root)} {_meaning(file, file.stat().st_mtime_ns)}' for file in files))


@functools.cache
def _meaning(file: Path, changed: int) -> str:
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        body = getattr(node, 'body', None)
        if (
            isinstance(body, list)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
        ):
            body[0] = ast.Pass()
    return ast.dump(tree)


def _sortable(node: Any) -> Any:
    """Settings as JSON has them, with text keys; a class or function is its name."""
    if isinstance(node, Mapping):
        return {str(key): _sortable(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [_sortable(value) for value in node]
    if node is None or isinstance(node, (str, int, float, bool)):
        return node
    return f'{node.__module__}.{node.__qualname__}' if hasattr(node, '__qualname__') else repr(node)


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
