"""Moments in the program's sentences. They are written in UTC, and Discord and the pages show them in local time."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

_WRITTEN: Final = re.compile(
    r"\b(?:[A-Z][a-z]+day )?([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}(?::[0-9]{2})?) UTC\b"
)


def written(moment: datetime) -> str:
    """Write a moment for a sentence: "2026-07-03 15:00 UTC"."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def parts_of(text: str) -> list[str | tuple[str, datetime]]:
    """Split a text around its moments; each moment is a pair of how it is written and when it is."""
    parts: list[str | tuple[str, datetime]] = []
    end = 0
    for found in _WRITTEN.finditer(text):
        try:
            moment = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
        except ValueError:
            # A text of another person may have digits in this form.
            continue
        parts += [text[end : found.start()], (found[0], moment)]
        end = found.end()
    return [*parts, text[end:]]


def replaced(text: str, show: Callable[[datetime], str]) -> str:
    """Return a text with its moments shown otherwise."""
    return "".join(part if isinstance(part, str) else show(part[1]) for part in parts_of(text))
