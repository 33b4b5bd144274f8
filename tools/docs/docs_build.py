"""Builds the site: `make docs` runs it in `.venv-docs`. A warning, or a link that leads nowhere, is an error.

python tools/docs/docs_build.py --out build/site
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from docs_links import broken_links
from docs_pages import ROOT, copy_pages, nav_of, with_math, write
from docs_pictures import PICTURES, svg
from docs_tables import METHODS, REFERENCE, config_head, configs_page, method_foot, reference_index, reference_page

HERE = Path(__file__).resolve().parent
# The menu. Pages of docs/ that are not named here follow in the last section.
SECTIONS = {
    'Start': ['index', 'tutorial', 'demo'],
    'Methods': ['methods', 'comparison', 'ablations'],
    'Models': ['configs', 'imagenet_recipes', 'any_backbone'],
    'Guides': ['training', 'scale', 'export', 'benchmark', 'study'],
    'Reference': ['api'],
}


def around(path: str, text: str) -> str:
    """Add to a page what only the site has: pictures, formulas, and the configs of a method."""
    if not path.startswith('docs/methods/'):
        return text
    text = with_math(text)
    page = Path(path).stem
    if page in METHODS:
        heading, _, rest = text.partition('\n')
        return f'{heading}\n\n![What is computed, in boxes and arrows]({page}.svg)\n{rest}{method_foot(page)}'
    return text


def write_sources(folder: Path) -> None:
    """Write all that mkdocs reads.

    Args:
        folder: An empty folder.
    """
    copy_pages(folder, config_head, around)
    write(folder, 'configs.md', configs_page())
    write(folder, 'api/index.md', reference_index())
    for page in REFERENCE:
        write(folder, f'api/{page}.md', reference_page(page))
    for page, picture in PICTURES.items():
        write(folder, f'methods/{page}.svg', svg(picture, f'How {METHODS[page][0]} makes its output'))
    for name in ('docs_table.js', 'docs_style.css'):
        shutil.copyfile(HERE / name, folder / name)


def build(out: Path) -> None:
    """Build the site.

    Args:
        out: Its folder, which is replaced when the site is complete.

    Raises:
        SystemExit: If mkdocs warns of anything, or a link leads nowhere.
    """
    os.environ.setdefault('NO_MKDOCS_2_WARNING', '1')  # of its theme's authors, about a version that is not used here
    from mkdocs.commands.build import build as mkdocs_build
    from mkdocs.config import load_config
    from mkdocs.exceptions import Abort

    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        sources, site = Path(folder, 'sources'), Path(folder, 'site')
        sources.mkdir()
        write_sources(sources)
        config = load_config(
            str(HERE / 'mkdocs.yml'),
            docs_dir=str(sources),
            site_dir=str(site),
            nav=nav_of(sources, SECTIONS, 'Guides'),
            strict=True,
        )
        config.plugins.on_startup(command='build', dirty=False)
        try:
            mkdocs_build(config)
        except Abort as error:
            sys.exit(f'the site was not built: {error}')
        finally:
            config.plugins.on_shutdown()
        broken = broken_links(site)
        if broken:
            sys.exit('\n'.join(['the site has links that lead nowhere:', *broken]))
        shutil.rmtree(out, ignore_errors=True)
        site.rename(out)
    print(f'the site is in {out}: `python3 -m http.server -d {out}` serves it (without a server it has no search)')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--out', type=Path, default=ROOT / 'build' / 'site', help='default: build/site')
    import logging

    logging.basicConfig(level=logging.WARNING, format='%(levelname)s: %(message)s')
    build(parser.parse_args().out.resolve())


if __name__ == '__main__':
    main()
