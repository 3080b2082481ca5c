"""Options as phones and word processors write them: `—only`, which they make of `--only`."""

import re
from collections.abc import Collection
from typing import Final

DASHES: Final = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2e3a\u2e3b\ufe58\ufe63\uff0d"
"""The hyphen, and the characters that look like it or like several."""

_DASHED: Final = re.compile(rf"[{DASHES}]+(?P<name>\w[\w-]*)(?P<value>=.*)?", re.DOTALL)


def with_hyphens(word: str, options: Collection[str]) -> str:
    """Return `—only` or `—only=5` as `--only`, if `only` is the name of an option; any other word is unchanged."""
    match = _DASHED.fullmatch(word)
    if match is None or word.isascii() or match["name"] not in options:
        return word
    return f"--{match['name']}{match['value'] or ''}"
