"""Checks the links of a built site: every page, file and heading that one leads to is there.

    python tools/docs/docs_links.py build/site

Links to other hosts are not followed, since the site has to be built without a network; they may only be links to read,
never files that a page needs.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What a page has and what it needs.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[tuple[str, str]] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note anchors and links."""
        values = dict(attrs)
        self.ids |= {value for name in ('id', 'name') if (value := values.get(name))}
        for name in ('href', 'src'):
            if value := values.get(name):
                self.links.append((f'{tag} rel={values.get("rel")}' if tag == 'link' else tag, value))


def broken_links(site: Path) -> list[str]:
    """Say of every link of a site that leads nowhere where it is and what it wants.

    Args:
        site: Folder of the built site.
    """
    site = site.resolve()
    pages = {path: Page(path) for path in sorted(site.rglob('*.html'))}
    broken = []
    for path, page in pages.items():
        for kind, link in page.links:
            parts = urlsplit(link)
            where = f'{path.relative_to(site)}: {kind} {link}'
            if parts.scheme in ('mailto', 'data'):
                continue
            if parts.scheme or parts.netloc:
                if kind != 'a':
                    broken.append(f'{where}: the page needs a file of another host')
                continue
            # A server shows 404.html under any address, so its links begin at the site's root; no other page's may.
            base = site if path.name == '404.html' else path.parent
            inside = parts.path.lstrip('/') if path.name == '404.html' else parts.path
            target = (base / unquote(inside)).resolve() if parts.path else path
            if target.is_dir():
                target /= 'index.html'
            if not target.is_file() or site not in target.parents:
                broken.append(f'{where}: there is no such file')
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
                broken.append(f'{where}: the page has no such heading')
    return broken


def main() -> int:
    broken = broken_links(Path(sys.argv[1]))
    print('\n'.join(broken) or 'all links lead somewhere')
    return 1 if broken else 0


if __name__ == '__main__':
    sys.exit(main())
