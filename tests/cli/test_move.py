"""`cashback move`: its output for people and programs, and what it refuses in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cashback.database import apex_core
from tests.cli.conftest import Cashback
from tests.conftest import raw, rows
from tests.postgresql import Server


def test_moved_ledger_is_paid_on_the_server(seeded: Cashback, postgresql: Server) -> None:
    target = postgresql.create().render_as_string(hide_password=False)
    moved = seeded("move", "--from", "sqlite:cashback.db", "--to", target, "--json").json
    assert (moved["action"], moved["rows"]["referrals"], moved["balanced"]) == ("moved", 253, True)
    assert seeded("pay", "--yes", "--json", "--database", target).json["total_cents"] == 12_750
    assert seeded("verify", "--database", target).code == 0
    refused = seeded("pay", "--yes").error
    assert refused.startswith("This ledger was moved to postgresql+psycopg://")
    assert refused.endswith(" UTC; name that one.")
    assert seeded("verify").code == 0


def test_move_reports_rows_and_tables_left_behind(seeded: Cashback, folder: Path) -> None:
    with raw(folder / "cashback.db") as connection:
        connection.execute("CREATE TABLE tickets (id INTEGER)")
    answer = seeded("move", "--from", "cashback.db", "--to", "sqlite:new.db")
    assert (answer.code, answer.err) == (0, "tables of another program were left behind: tickets.\n")
    assert "from cashback.db to new.db; each was read back, and the books balance in both." in answer.out
    assert "was moved to new.db before" in seeded("move", "--from", "cashback.db", "--to", "new.db").out


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        ("none.db", "new.db", "none.db does not exist; there is nothing to move."),
        ("cashback.db", "sqlite:./cashback.db", "name another target."),
        ("cashback.db", "mysql://somewhere", "is of a kind that this program does not know"),
        ("cashback.db", "no/such/folder.db", "does not exist; create it first."),
    ],
)
def test_unusable_source_or_target_is_refused(
    seeded: Cashback, folder: Path, source: str, target: str, reason: str
) -> None:
    answer = seeded("move", "--from", source, "--to", target)
    assert (answer.code, answer.out) == (1, "")
    assert reason in answer.error
    assert not (folder / "new.db").exists()


@pytest.mark.parametrize(
    "change",
    [
        ("pay", "--yes"),
        ("pay", "--yes", "--user", "{referrer}"),
        ("purchase", "4711", "{buyer}", "12.50"),
        ("refund", "{order}"),
        ("import", "purchases.csv"),
        ("import", "purchases.csv", "--referrals", "referrals.csv"),
        ("blacklist", "{referrer}"),
        ("schedule", "pause"),
    ],
    ids=" ".join,
)
def test_command_that_changes_a_moved_ledger_is_refused(
    seeded: Cashback, folder: Path, change: tuple[str, ...]
) -> None:
    [(referrer, buyer)] = rows(
        folder / "cashback.db",
        "SELECT referrer_user_id, referred_user_id FROM referrals WHERE is_blacklisted = 0"
        " AND cashback_earned_cents > cashback_paid_cents LIMIT 1",
    )
    [(order,)] = rows(folder / "cashback.db", "SELECT order_id FROM cashback_referral_purchases LIMIT 1")
    (folder / "referrals.csv").write_text(f"referrer_id,referred_id\n{referrer},123456789012345678\n")
    (folder / "purchases.csv").write_text(f"order_id,buyer_id,amount\nnew-1,{buyer},12.50\n")
    assert seeded("move", "--from", "cashback.db", "--to", "new.db").code == 0
    before = (folder / "cashback.db").read_bytes()
    answer = seeded(*(part.format(referrer=referrer, buyer=buyer, order=order) for part in change))
    assert (answer.code, answer.out) == (1, "")
    assert f"was moved to {folder / 'new.db'} on " in answer.error.replace("This", "this")
    assert (folder / "cashback.db").read_bytes() == before


@pytest.mark.parametrize("command", [("verify",), ("stats",), ("history",), ("pending",)], ids=" ".join)
def test_moved_ledger_can_be_read(seeded: Cashback, command: tuple[str, ...]) -> None:
    assert seeded("move", "--from", "cashback.db", "--to", "new.db").code == 0
    assert seeded(*command).code == 0


def test_shared_ledger_needs_the_option(cashback: Cashback, folder: Path) -> None:
    apex_core.create(folder / "apex.db")
    refused = cashback("move", "--from", "apex.db", "--to", "new.db").error
    assert refused.startswith("apex.db is shared with another bot")
    moved = cashback("move", "--from", "apex.db", "--to", "new.db", "--stop-other-bot")
    assert moved.code == 0
    assert "another bot that still uses it" in moved.err
