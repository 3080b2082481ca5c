"""The commands that read, and the small ones that write."""

from __future__ import annotations

import importlib.metadata
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.conftest import Cashback
from tests.conftest import drop_guards, raw

LARGEST = 599287828863678298
ROOT = Path(__file__).parents[2]
HISTORY_KEYS = {
    "batch_id",
    "number",
    "mode",
    "status",
    "proposed_by",
    "approved_by",
    "proposed_at",
    "finished_at",
    "planned_count",
    "planned_cents",
    "users_paid",
    "total_cents",
    "failed",
    "skipped",
    "reversed_cents",
    "net_cents",
}


def test_pending_lists_the_largest_first(seeded: Cashback) -> None:
    found = seeded("pending", "--json").json
    assert list(found) == ["users", "total_cents", "held_cents", "owed_cents", "referrers"]
    assert (found["users"], found["total_cents"]) == (15, 12_750)
    top = [(one["pending_cents"], one["referral_count"]) for one in found["referrers"]]
    assert top[:3] == [(2_500, 50), (1_850, 37), (1_525, 30)]
    assert sum(cents for cents, _ in top[3:]) == 6_875
    assert all(len(str(one["referrer_id"])) == 18 for one in found["referrers"])
    text = seeded("pending", "--limit", 3).out
    assert f"1. {LARGEST} - $25.00 (50 referrals)" in text
    assert "…and 12 more" in text


def test_pending_of_one_member_lists_the_referrals(seeded: Cashback) -> None:
    found = seeded("pending", "--user", LARGEST, "--json").json
    assert (found["referrer_id"], found["pending_cents"], found["referral_count"]) == (str(LARGEST), 2_500, 50)
    assert found["is_blacklisted"] is False
    assert len(found["referral_details"]) == 50
    assert "…and 40 more" in seeded("pending", "--user", LARGEST).out
    assert seeded("pending", "--user", 5).out == "Member 5 has no pending cashback.\n"


def test_empty_ledger_shows_as_empty(cashback: Cashback) -> None:
    cashback("migrate")
    assert cashback("pending").out == "No referral cashback is pending.\n"
    nothing = {"users": 0, "total_cents": 0, "held_cents": 0, "owed_cents": 0, "referrers": []}
    assert cashback("pending", "--json").json == nothing
    assert cashback("history").out == "There are no batches yet.\n"
    assert cashback("history", "--json").json == {"batches": []}
    assert cashback("verify").code == 0


def test_history_pages_backwards(seeded: Cashback) -> None:
    seeded("pay", "--user", LARGEST, "--yes")
    seeded("pay", "--yes")
    newest, oldest = seeded("history", "--json").json["batches"]
    assert set(newest) == HISTORY_KEYS
    assert (newest["number"], newest["users_paid"], newest["total_cents"]) == (2, 14, 10_250)
    assert newest["batch_id"] > oldest["batch_id"]
    assert datetime.fromisoformat(newest["proposed_at"]).utcoffset() == timedelta(0)
    assert seeded("history", "--limit", 1, "--page", 2, "--json").json["batches"] == [oldest]
    assert oldest["batch_id"] in seeded("history").out


def test_show_lists_a_batch_and_its_payouts(seeded: Cashback) -> None:
    batch_id = seeded("pay", "--yes", "--json").json["batch_id"]
    found = seeded("show", batch_id, "--json", "--limit", 0).json
    assert (found["batch_id"], found["status"], found["messages"]["queued"]) == (batch_id, "completed", 15)
    assert len(found["payouts"]) == 15
    assert sum(payout["paid_cents"] for payout in found["payouts"]) == 12_750
    assert len(seeded("show", batch_id, "--json", "--limit", 2).json["payouts"]) == 2
    text = seeded("show", batch_id, "--limit", 2).out
    assert "…and 13 more" in text
    assert "credited" in text


def test_show_streams_more_than_one_page(cashback: Cashback) -> None:
    cashback("seed", "--database", "cashback.db", "--referrers", 2_100, "--referrals", 2_100)
    batch_id = cashback("pay", "--yes", "--json").json["batch_id"]
    payouts = cashback("show", batch_id, "--limit", 0, "--json").json["payouts"]
    assert len({payout["referrer_id"] for payout in payouts}) == 2_100
    assert len(cashback("show", batch_id, "--limit", 0).out.splitlines()) > 2_100


def test_verify_finds_a_changed_balance(seeded: Cashback, folder: Path) -> None:
    seeded("pay", "--yes")
    answer = seeded("verify")
    assert answer.code == 0
    assert "The books balance" in answer.out
    drop_guards(folder / "cashback.db")
    with raw(folder / "cashback.db") as connection:
        connection.execute("UPDATE users SET wallet_balance_cents = 1 WHERE discord_id = ?", (LARGEST,))
    answer = seeded("verify")
    assert answer.code == 1
    assert any(line.startswith(f"breach: wallet of {LARGEST}") for line in answer.out.splitlines())
    assert "do not balance" in answer.error
    found = seeded("verify", "--json").json
    assert list(found) == ["balanced", "breaches", "remarks", "payouts_checked", "credited_cents", "audit_head"]
    assert (found["balanced"], found["payouts_checked"], found["credited_cents"]) == (False, 15, 12_750)


def test_verify_of_one_batch_ignores_the_others(seeded: Cashback, folder: Path) -> None:
    batch_id = seeded("pay", "--yes", "--json").json["batch_id"]
    assert seeded("verify", "--batch", batch_id, "--json").json["payouts_checked"] == 15
    drop_guards(folder / "cashback.db")
    with raw(folder / "cashback.db") as connection:
        connection.execute("UPDATE referrals SET cashback_earned_cents = cashback_earned_cents + 1")
    assert seeded("verify").code == 1
    assert seeded("verify", "--batch", batch_id).code == 0
    assert seeded("verify", "--batch", "BATCH-20000101-000000").code == 1


def test_purchase_earns_once(seeded: Cashback) -> None:
    buyer = seeded("pending", "--user", LARGEST, "--json").json["referral_details"][0]["user_id"]
    found = seeded("purchase", "A-1", buyer, "20.00", "--json").json
    assert {key: found[key] for key in ("order_id", "buyer_id", "amount_cents", "earned_cents")} == {
        "order_id": "A-1",
        "buyer_id": buyer,
        "amount_cents": 2_000,
        "earned_cents": 10,
    }
    assert "known already" in seeded("purchase", "A-1", buyer, "20.00").out
    assert seeded("purchase", "A-1", buyer, "21").code == 1
    assert seeded("pending", "--json").json["total_cents"] == 12_760
    nobody = seeded("purchase", "A-2", 10**17, "20", "--json").json
    assert nobody["earned_cents"] is None


def test_blacklisting_can_be_undone(seeded: Cashback) -> None:
    assert seeded("blacklist", LARGEST, "--reason", "a reason", "--json").json == {
        "user_id": str(LARGEST),
        "blacklisted": True,
        "changed": True,
    }
    assert seeded("blacklist", LARGEST).out == f"Member {LARGEST} was blacklisted already.\n"
    assert seeded("pending", "--json").json["total_cents"] == 10_250
    assert "is blacklisted" in seeded("pending", "--user", LARGEST).out
    assert seeded("blacklist", LARGEST, "--remove").code == 0
    assert seeded("blacklist", LARGEST, "--remove").out == f"Member {LARGEST} was not blacklisted.\n"
    assert seeded("pending", "--json").json["total_cents"] == 12_750


def test_migrate_reports_what_it_did(cashback: Cashback, folder: Path) -> None:
    assert "was created with schema" in cashback("migrate").out
    assert "nothing was changed" in cashback("migrate").out
    with raw(folder / "other.db") as connection:
        connection.execute("CREATE TABLE notes (text TEXT)")
    found = cashback("migrate", "--database", "other.db", "--json").json
    assert (found["action"], found["schema_before"]) == ("adopted", None)


def test_same_seed_makes_the_same_community(cashback: Cashback) -> None:
    arguments = ("--referrers", 40, "--referrals", 100, "--seed", 7, "--json")
    first = cashback("--database", "a.db", "seed", *arguments).json
    second = cashback("--database", "b.db", "seed", *arguments).json
    assert (first.pop("database"), second.pop("database")) == ("a.db", "b.db")
    assert first == second
    assert (first["referrers"], first["referrals"]) == (40, 100)
    a, b = (cashback("pending", "--json", "--database", name).out for name in ("a.db", "b.db"))
    assert a == b
    assert cashback("seed", "--referrers", 5, "--referrals", 4).code == 2
    assert cashback("seed", "--referrals", 4).code == 2


def test_ledger_can_be_named_before_or_after_the_command(seeded: Cashback, folder: Path) -> None:
    for arguments in (
        ["--database", "named.db", "migrate"],
        ["migrate", "--database", "named.db"],
        ["--database", "other.db", "migrate", "--database", "named.db"],
    ):
        assert "named.db" in seeded(*arguments).out
    assert not (folder / "other.db").exists()
    (folder / "own.json").write_text('{"referral_settings": {"min_payout_cents": 2000}}')
    assert seeded("--config", "own.json", "pay", "--dry-run", "--json").json["users_paid"] == 1
    assert seeded("pay", "--config", "own.json", "--dry-run", "--json").json["users_paid"] == 1


def test_version_is_the_packages(cashback: Cashback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: "1.2.3")
    assert cashback("--version").out == "cashback 1.2.3\n"


def test_history_filters_by_state_member_and_day(seeded: Cashback) -> None:
    batch_id = seeded("pay", "--yes", "--json").json["batch_id"]
    member = seeded("show", batch_id, "--json").json["payouts"][0]["referrer_id"]

    def found(*filters: object) -> list[str]:
        return [batch["batch_id"] for batch in seeded("history", *filters, "--json").json["batches"]]

    assert found("--state", "completed", "--user", member, "--from", "2020-01-01") == [batch_id]
    assert found("--state", "expired") == []
    assert found("--user", 12345) == []
    assert found("--to", "2020-01-01") == []
    assert "is not a batch state" in seeded("history", "--state", "paid").error
    assert "is not a date" in seeded("history", "--from", "today").error
