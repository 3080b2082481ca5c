"""Hides libraries, as if they were not installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec


class NotInstalled(MetaPathFinder):
    """Finds none of the hidden libraries."""

    def __init__(self, hidden: tuple[str, ...]) -> None:
        self._hidden = hidden

    def find_spec(self, fullname: str, _path: object, _target: object = None) -> ModuleSpec | None:
        """Fail as Python does for a library that is not there."""
        if fullname.partition(".")[0] in self._hidden:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None


@contextmanager
def without(*libraries: str) -> Iterator[None]:
    """Hide libraries, loaded or not."""
    loaded = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in libraries}
    for name in loaded:
        del sys.modules[name]
    finder = NotInstalled(libraries)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        sys.modules.update(loaded)
