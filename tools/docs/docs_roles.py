"""Lets docstrings' ``:func:`name``` be links in the reference, and warns of those that name nothing.

Sphinx reads such marks by itself; mkdocstrings reads Markdown. This is an extension of Griffe, which reads the source
without importing it. (A name without a page of its own is shown without a link.)
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any

import griffe

# A warning of a logger below `mkdocs` makes a strict build fail.
LOGGER = logging.getLogger('mkdocs.plugins.docs_roles')
ROLE = re.compile(r':(?:func|class|meth|mod|attr|data):`(~?)([\w.]+)`')


class Roles(griffe.Extension):
    """Rewrites the docstrings of a package when it has been read whole."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Rewrite the docstrings of all modules."""
        for obj in _objects(pkg):
            if obj.docstring is not None:
                obj.docstring.value = ROLE.sub(lambda match, obj=obj: _link(pkg, obj, *match.groups()), _text_of(obj))


def _text_of(obj: griffe.Object) -> str:
    assert obj.docstring is not None
    return obj.docstring.value


def _objects(obj: griffe.Object) -> Iterator[griffe.Object]:
    yield obj
    for member in obj.members.values():
        if not member.is_alias:
            yield from _objects(member)


def _link(pkg: griffe.Module, obj: griffe.Object, short: str, name: str) -> str:
    path = _path(pkg, obj, name)
    shown = name.rpartition('.')[2] if short else name
    if path is None:
        LOGGER.warning('the docstring of %s names %s, which does not exist', obj.path, name)
        return f'`{shown}`'
    return f'<autoref optional identifier="{path}"><code>{shown}</code></autoref>'


def _path(pkg: griffe.Module, obj: griffe.Object, name: str) -> str | None:
    """The full name of what a docstring means: of mmkw, of the object's own scope, or a member of its class."""
    if name.split('.')[0] == pkg.name:
        return _found(pkg, name.split('.')[1:])
    scope: griffe.Object | None = obj
    while scope is not None:
        path = _found(scope, name.split('.'))
        if path is not None:
            return path
        scope = scope.parent
    return None


def _found(scope: griffe.Object, names: list[str]) -> str | None:
    found: Any = scope
    for name in names:
        try:
            found = found.all_members[name] if found.is_class else found.members[name]
            found = found.final_target if found.is_alias else found
        except (KeyError, griffe.AliasResolutionError):
            return None
    return found.path
