"""Texts of other people in files that spreadsheets open: none of them may be a formula there."""

import re
from typing import Final

_FORMULA: Final = re.compile(r"(^|;\s*)(?=[=+\-@\t\r＝＋－＠])")
"""A spreadsheet of a country with decimal commas splits a line at semicolons, also inside a cell."""


def harmless(text: str) -> str:
    """Put an apostrophe before what a spreadsheet would take for a formula."""
    return _FORMULA.sub(r"\1'", text)
