"""How is a library imported without what it imports and nobody here uses?

Importing seaborn and matplotlib takes a second in every process; in a package that is only asked
for numbers they may wait until they are asked for something.
"""

import contextlib
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any


class Deferred(ModuleType):
    """Stands for a module that is imported when an attribute of it is first asked for."""

    def __getattr__(self, name: str) -> Any:
        """An attribute of the real module."""
        if name.startswith("__"):  # the import system asks for these, and nobody else
            raise AttributeError(name)
        _remove()
        return getattr(importlib.import_module(self.__name__), name)


@contextlib.contextmanager
def deferred(*names: str) -> Iterator[None]:
    """Inside, importing one of `names` gives a stand-in; afterwards everybody else gets the module.

    Packages come before what is in them. One that is imported already stays, with all its parts.
    """
    for name in names:
        package, _, part = name.rpartition(".")
        if name not in sys.modules and isinstance(sys.modules.get(package), Deferred | None):
            sys.modules[name] = Deferred(name)
            if package:
                setattr(sys.modules[package], part, sys.modules[name])
    try:
        yield
    finally:
        _remove()


def _remove() -> None:
    for name in [name for name, module in sys.modules.items() if isinstance(module, Deferred)]:
        del sys.modules[name]
