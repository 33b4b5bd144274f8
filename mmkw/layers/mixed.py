"""Classes made at run time that behave as others do: pickled, and copied, like any class with a name in a module."""

from typing import Any

_MADE: dict[tuple[type, type, str], type] = {}


def mixed(mixin: type, base: type, name: str) -> Any:
    """The class ``name(mixin, base)``, one for each combination; its objects can be pickled."""
    key = mixin, base, name
    if key not in _MADE:

        def reduce(self: Any, protocol: int) -> tuple:
            return _new, key, self.__getstate__() if hasattr(self, '__getstate__') else self.__dict__

        _MADE[key] = type(name, (mixin, base), {'__module__': mixin.__module__, '__reduce_ex__': reduce})
    return _MADE[key]


def _new(mixin: type, base: type, name: str) -> Any:
    return object.__new__(mixed(mixin, base, name))
