"""Suggestions for unknown names: finds the setting that a mistyped name was meant to be."""

from collections.abc import Iterable
from difflib import SequenceMatcher
from typing import Final

CLOSE: Final = 0.8
"""The similarity, of 1, from which a name counts as a slip of another."""

SHORTEST_PART: Final = 5
"""The minimum length at which the beginning or the end of a name stands for all of it."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that is most similar to this one."""
    return max(known, key=lambda each: _likeness(_plain(name), _plain(each)))


def meant(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant; None if this name is not close to any."""
    close = [each for each in known if _is_close(_bare(name), _bare(each))]
    return nearest(name, close) if close else None


def _is_close(name: str, known: str) -> bool:
    """Return whether a name is a slip of the other, or only its beginning or end: `viewer` for `dashboard_viewer`."""
    part, whole = sorted((name, known), key=len)
    is_part = len(part) >= SHORTEST_PART and (whole.startswith(part) or whole.endswith(part))
    return is_part or _likeness(name, known) >= CLOSE


def _likeness(name: str, known: str) -> float:
    return SequenceMatcher(None, name, known, autojunk=False).ratio()


def _plain(name: str) -> str:
    """Normalize differences in spelling: capital letters and separators."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _bare(name: str) -> str:
    """Remove "settings", which the names of many sections end with and which does not make them similar."""
    return _plain(name).removesuffix("settings")
