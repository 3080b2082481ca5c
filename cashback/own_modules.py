"""Imports this project's `pipeline`, `scheduler` and `stages`, also if a bot has modules of the same names.

They stand next to the package `cashback`. A bot's own modules of these names stay what they are to that bot.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final

FOLDER: Final = Path(__file__).resolve().parents[1]
FILES: Final = {
    "pipeline": FOLDER / "pipeline" / "__init__.py",
    "scheduler": FOLDER / "scheduler.py",
    "stages": FOLDER / "stages" / "__init__.py",
}


class _OwnFinder(MetaPathFinder):
    """Finds these modules in this project only."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        file = FILES.get(fullname)
        if file is None:
            return None
        inside = [str(file.parent)] if file.name == "__init__.py" else None
        return spec_from_file_location(fullname, file, submodule_search_locations=inside)


@contextmanager
def own_modules() -> Iterator[None]:
    """Import this project's modules inside the block. After it, the names mean to the bot what they meant before."""
    if all(_is_own(PathFinder.find_spec(name)) and _is_own_or_absent(name) for name in FILES):
        yield
        return
    others = _taken_away()
    finder = _OwnFinder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        _taken_away()
        sys.modules.update(others)


def _taken_away() -> dict[str, ModuleType]:
    """Remove all modules of these names, and of their submodules; return them."""
    names = [name for name in sys.modules if name.partition(".")[0] in FILES]
    return {name: sys.modules.pop(name) for name in names}


def _is_own_or_absent(name: str) -> bool:
    module = sys.modules.get(name)
    return module is None or _is_own(module.__spec__)


def _is_own(spec: ModuleSpec | None) -> bool:
    return spec is not None and spec.origin is not None and Path(spec.origin).resolve() == FILES[spec.name]
