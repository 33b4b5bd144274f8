"""Classes made at run time that behave as others do: pickled, and copied, like any class with a name in a module."""

import functools
from typing import Any


@functools.cache
def mixed(mixin: Any, base: Any, name: str) -> Any:
    """The class ``name(mixin, base)``, one for each combination; its objects can be pickled."""

    def reduce(self: Any, protocol: int) -> tuple:
        return _new, (mixin, base, name), self.__getstate__() if hasattr(self, '__getstate__') else self.__dict__

    return type(name, (mixin, base), {'__module__': mixin.__module__, '__reduce_ex__': reduce})


def _new(mixin: type, base: type, name: str) -> Any:
    cls = mixed(mixin, base, name)
    return object.__new__(cls)
