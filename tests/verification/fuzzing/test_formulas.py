"""A cell of a file for spreadsheets never begins a formula, whatever somebody has written into the ledger."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cashback.database.queries.exporting import COLUMNS, REASON, _harmless


@given(st.sampled_from(["=", "+", "-", "@", "\t", "\r", ""]), st.text(max_size=20))
def test_no_cell_begins_a_formula(begin: str, rest: str) -> None:
    row: list[str | None] = [None] * len(COLUMNS)
    row[REASON] = begin + rest
    cell = str(_harmless(row)[REASON])
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert cell.endswith(rest)
