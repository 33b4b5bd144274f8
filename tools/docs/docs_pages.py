"""Turns README, docs/ and what they link to into the pages of the site, with links that hold there.

A link to another file of the repository leads to a page with its text, so that the site needs no other host.
"""

from __future__ import annotations

import base64
import json
import os
import posixpath
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = {'.py': 'python', '.sh': 'bash', '.yml': 'yaml', '.toml': 'toml', '.txt': 'text', '': 'text'}
LINK = re.compile(r'(!?\[(?:[^\[\]]|\[[^\[\]]*\])*\]\()([^()\s]+)(\))')


def site_path(path: str) -> str:
    """Where a file of the repository lies in the site's sources.

    Args:
        path: Relative to the repository, such as ``docs/export.md``.
    """
    if path == 'README.md':
        return 'index.md'
    inside = path.removeprefix('docs/') if path.startswith('docs/') else f'files/{path}'
    stem, suffix = posixpath.splitext(inside)
    if suffix == '.ipynb':
        return f'{stem}.md'
    return f'{inside}.md' if suffix in LANGUAGES else inside


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """Change what is not in fenced code, a line at a time."""
    lines, fenced = [], False
    for line in text.splitlines():
        if line.lstrip().startswith('```'):
            fenced = not fenced
        lines.append(line if fenced else change(line))
    return '\n'.join(lines) + '\n'


def with_site_links(text: str, path: str, found: set[str]) -> str:
    """Let the links of a Markdown page lead to pages of the site.

    Args:
        text: The page.
        path: Its place in the repository.
        found: Gets the linked files.

    Raises:
        ValueError: If a link leads to no file, or out of the repository.
    """

    def moved(match: re.Match[str]) -> str:
        target, _, anchor = match[2].partition('#')
        if not target or re.match(r'[a-z]+:', target):
            return match[0]
        linked = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        if linked.startswith('..') or not (ROOT / linked).is_file():
            raise ValueError(f'{path} links to {match[2]}, and there is no such file: mend the link')
        found.add(linked)
        there = posixpath.relpath(site_path(linked), posixpath.dirname(site_path(path)) or '.')
        return f'{match[1]}{there}{"#" + anchor if anchor else ""}{match[3]}'

    return outside_code(text, lambda line: LINK.sub(moved, line))


def with_math(text: str) -> str:
    """Write formulas, ``$$...$$`` on a line of its own and ``$...$``, as MathML, which browsers draw by themselves."""
    from latex2mathml.converter import convert

    def line_of(line: str) -> str:
        if line.startswith('$$') and line.endswith('$$'):
            return f'<div class="formula">{convert(line.strip("$ "), display="block")}</div>'
        pieces = re.split(r'(`[^`]*`|\$[^$]+\$)', line)
        # In a span: Markdown would begin a block at a line that begins with <math>.
        return ''.join(f'<span>{convert(p.strip("$"))}</span>' if re.fullmatch(r'\$.+\$', p) else p for p in pieces)

    return outside_code(text, line_of)


def source_page(path: str, head: str = '') -> str:
    """A page with the text of a file, under what ``head`` says of it."""
    language = LANGUAGES[Path(path).suffix]
    return f'# {path}\n\n{head}\n\n~~~~{language}\n{(ROOT / path).read_text().rstrip()}\n~~~~\n'


def notebook_page(path: str, pictures: Path, found: set[str]) -> str:
    """A page with the cells of a notebook and what they printed and drew when it was run last.

    Args:
        path: The notebook, relative to the repository.
        pictures: Folder to write the pictures to, that of the page.
        found: Gets the linked files.
    """
    name = Path(path).stem
    parts = []
    for number, cell in enumerate(json.loads((ROOT / path).read_text())['cells']):
        text = ''.join(cell['source'])
        if cell['cell_type'] == 'markdown':
            parts.append(with_site_links(text, path, found))
            continue
        parts.append(f'```python\n{text}\n```')
        for count, output in enumerate(cell['outputs']):
            data = output.get('data', {})
            drawn = next((kind for kind in ('image/png', 'image/jpeg') if kind in data), None)
            if drawn:
                picture = f'{name}_{number}_{count}.{drawn.partition("/")[2]}'
                (pictures / picture).write_bytes(base64.b64decode(''.join(data[drawn])))
                parts.append(f'![What the cell draws]({picture})')
            else:
                printed = ''.join(output.get('text', data.get('text/plain', '')))
                parts.append(f'```{{.text .output}}\n{printed.rstrip()}\n```')
    return '\n\n'.join(parts) + '\n'


def write(folder: Path, name: str, text: str) -> None:
    """Write a page into the site's sources."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def repository_pages() -> Iterator[str]:
    """README, and the Markdown pages and notebooks of docs/."""
    yield 'README.md'
    for suffix in ('md', 'ipynb'):
        yield from (str(path.relative_to(ROOT)) for path in sorted((ROOT / 'docs').rglob(f'*.{suffix}')))


def copy_pages(folder: Path, head: Callable[[str], str], around: Callable[[str, str], str]) -> None:
    """Write the pages of the repository, and every file that they link to.

    Args:
        folder: The site's sources.
        head: What to say above the text of a file, by its path.
        around: Adds to a page of Markdown what the site has more than the repository, by its path and text.
    """
    waiting, done = [*repository_pages(), *_configs()], set()
    while waiting:
        path = waiting.pop()
        if path in done:
            continue
        done.add(path)
        target = site_path(path)
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        suffix = Path(path).suffix
        if suffix in LANGUAGES:
            write(folder, target, source_page(path, head(path)))
        elif suffix in ('.md', '.ipynb'):
            found: set[str] = set()
            if suffix == '.md':
                text = with_site_links((ROOT / path).read_text(), path, found)
            else:
                text = notebook_page(path, (folder / target).parent, found)
            write(folder, target, around(path, text))
            waiting += found
        else:
            shutil.copyfile(ROOT / path, folder / target)


def _configs() -> list[str]:
    return [str(path.relative_to(ROOT)) for path in sorted((ROOT / 'configs').rglob('*.py'))]


def title_of(page: Path) -> str:
    """The heading of a page of Markdown, without code marks."""
    return next(line for line in page.read_text().splitlines() if line.startswith('# '))[2:].replace('`', '')


def nav_of(folder: Path, first: dict[str, list[str]], last: str) -> list[dict[str, Any]]:
    """The menu: sections with their pages in order, and pages that are in no section in the last one.

    Args:
        folder: The site's sources.
        first: Pages of each section, without ``.md``; a folder stands for all of its pages, ``index`` first.
        last: The section that gets the rest.
    """
    listed: set[str] = set()
    nav = []
    for section, pages in first.items():
        entries = []
        for page in pages:
            inside = sorted((folder / page).glob('*.md'), key=lambda path: (path.stem != 'index', path.stem))
            for path in inside or [folder / f'{page}.md']:
                entries.append(os.path.relpath(path, folder))
        listed |= set(entries)
        nav.append((section, entries))
    rest = [path.name for path in sorted(folder.glob('*.md')) if path.name not in listed]
    return [{name: [*pages, *rest] if name == last else pages} for name, pages in nav]
