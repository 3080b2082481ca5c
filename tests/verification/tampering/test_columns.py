"""An edit of any single column is found, unless the column is named with the reason; a new column needs a thought."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from tests.verification.tampering.test_catalogue import tell
from verification.tampering.columns import missed, unproven


@pytest.mark.timeout(1200)
def test_edit_of_each_column_is_found_or_the_column_is_named(tmp_path: Path) -> None:
    anyio.run(tell, tmp_path / "story.db")
    found = {(table, column): edit for table, column, edit in missed(tmp_path / "story.db")}
    assert {key: edit for key, edit in found.items() if key not in unproven()} == {}
    assert unproven() - found.keys() == set()
