"""Names that are not settings: which setting was meant by a name that somebody mistyped."""

from collections.abc import Iterable
from difflib import SequenceMatcher
from typing import Final

CLOSE: Final = 0.8
"""How alike two names must be, of 1, for one to be a slip of the other."""

SHORTEST_PART: Final = 5
"""The letters that the beginning or the end of a name needs at least to stand for all of it."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that is most like this one."""
    return max(known, key=lambda each: _likeness(_plain(name), _plain(each)))


def meant(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant; None if this name is not close to any."""
    close = [each for each in known if _is_close(_bare(name), _bare(each))]
    return nearest(name, close) if close else None


def _is_close(name: str, known: str) -> bool:
    """Return whether one is a slip of the other, or only its beginning or end: `viewer` for `dashboard_viewer`."""
    part, whole = sorted((name, known), key=len)
    is_part = len(part) >= SHORTEST_PART and (whole.startswith(part) or whole.endswith(part))
    return is_part or _likeness(name, known) >= CLOSE


def _likeness(name: str, known: str) -> float:
    return SequenceMatcher(None, name, known, autojunk=False).ratio()


def _plain(name: str) -> str:
    """Leave out what people write differently: capital letters, and what stands between words."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _bare(name: str) -> str:
    """Leave out "settings", which the names of many sections end with: it makes none of them alike."""
    return _plain(name).removesuffix("settings")
