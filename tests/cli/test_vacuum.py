"""`cashback vacuum`."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Cashback
from tests.conftest import raw


def test_vacuum_replaces_the_messages_of_old_batches_by_counts(seeded: Cashback) -> None:
    paid = seeded("pay", "--yes", "--json").json
    with raw(Path("cashback.db")) as connection:
        connection.execute("UPDATE cashback_notifications SET status = 'sent'")
    assert seeded("vacuum", "--json").json == {"messages": 0}
    with raw(Path("cashback.db")) as connection:
        connection.execute("DROP TRIGGER cashback_payout_batches_fixed")
        connection.execute("UPDATE cashback_payout_batches SET finished_at = '2026-01-02 15:00:00.000000'")
    answer = seeded("vacuum")
    assert answer.code == 0
    assert answer.out.startswith(f"{paid['users_paid']} direct messages replaced by counts")
    with raw(Path("cashback.db")) as connection:
        [(count,)] = connection.execute("SELECT count(*) FROM cashback_notifications").fetchall()
    assert count == 0
