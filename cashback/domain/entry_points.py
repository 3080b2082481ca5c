"""What other installed packages add: entry points. They are listed once, and loaded when they are used."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from cashback.domain.errors import CashbackError

SHOPS: Final = "cashback.shops"
LANGUAGES: Final = "cashback.languages"


@cache
def added(group: str) -> Mapping[str, EntryPoint]:
    """Return the entry points of a group by their names."""
    return {point.name: point for point in entry_points(group=group)}


def package_of(point: EntryPoint) -> str:
    """Return the name of the package that an entry point comes from."""
    return point.dist.name if point.dist is not None else "an unknown package"


def load(point: EntryPoint) -> object:
    """Load what an entry point names. Raises CashbackError if its package is faulty."""
    try:
        return point.load()
    except Exception as error:
        reason = " ".join(str(error).split()) or "no further details"
        raise CashbackError(
            f"{point.group} {point.name!r} of the package {package_of(point)} cannot be loaded"
            f" ({type(error).__name__}: {reason}); update or uninstall that package."
        ) from error
