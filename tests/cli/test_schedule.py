"""`cashback schedule`: the schedule in force, and the changes that an admin makes at the terminal."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Cashback
from tests.conftest import rows


def configure(folder: Path, **referral: object) -> None:
    """Write a config.json."""
    (folder / "config.json").write_text(json.dumps({"referral_settings": referral}))


def entries(folder: Path, action: str) -> list[tuple[str, object]]:
    """Read the actor and the reason of each entry with this action."""
    query = "SELECT actor, details FROM cashback_audit_log WHERE action = ? ORDER BY id"
    found = rows(folder / "cashback.db", query, action)
    return [(actor, json.loads(details).get("reason")) for actor, details in found]


def test_new_ledger_shows_the_configured_schedule_and_stores_none(seeded: Cashback, folder: Path) -> None:
    configure(folder, batch_day="tuesday", batch_hour_utc=9, batch_minute_utc=30, notice_hours=2)
    shown = seeded("schedule", "--json").json
    assert (shown["enabled"], shown["rule"], shown["slots"]) == (True, "tuesday 09:30", [])
    assert (shown["grace_hours"], shown["notice_hours"]) == (24, 2)
    assert shown["would_pay"] == {"users": 15, "total_cents": 12_750, "left_out": []}
    assert shown["next_run"].endswith("T09:30:00+00:00")
    assert rows(folder / "cashback.db", "SELECT 1 FROM cashback_schedule_state") == []


def test_schedule_shows_what_the_limits_would_exclude(seeded: Cashback, folder: Path) -> None:
    configure(folder, max_users_per_batch=4)
    pays = seeded("schedule", "--json").json["would_pay"]
    [out] = pays["left_out"]
    assert (pays["users"], out["reason"], out["count"]) == (4, "over_user_limit", 11)
    assert pays["total_cents"] + out["cents"] == 12_750
    assert "Excluded:  over the limit of members in a batch: 11" in seeded("schedule").out
    assert seeded("history", "--json").json == {"batches": []}


def test_pause_resume_and_skip_record_actor_and_reason(seeded: Cashback, folder: Path) -> None:
    before = seeded("schedule", "--json").json["next_run"]
    assert seeded("schedule", "pause", "--reason", "counting").code == 0
    assert "Paused:    by cli: counting" in seeded("schedule").out
    assert seeded("schedule", "pause").error == "The schedule is already paused, by cli: counting."
    assert seeded("schedule", "resume", "--reason", "counted").code == 0
    assert seeded("schedule", "resume").error == "The schedule is not paused."
    skipped = seeded("schedule", "skip", "--reason", "holiday", "--json").json
    assert skipped["next_run"] > before
    [slot] = skipped["slots"]
    assert (slot["slot_at"], slot["status"], slot["reason"], slot["decided_by"]) == (
        before,
        "skipped",
        "holiday",
        "cli",
    )
    unskipped = seeded("schedule", "unskip", "--reason", "back early", "--json").json
    assert (unskipped["next_run"], unskipped["slots"]) == (before, [])
    assert seeded("schedule", "unskip").error == "No coming slot is skipped; nothing was changed."
    assert entries(folder, "slot_unskipped") == [("cli", "back early")]
    assert entries(folder, "schedule_paused") == [("cli", "counting")]
    assert entries(folder, "schedule_resumed") == [("cli", "counted")]
    assert entries(folder, "slot_skipped") == [("cli", "holiday")]


def test_changed_configuration_is_reported_until_the_reload(seeded: Cashback, folder: Path) -> None:
    assert seeded("schedule", "--reload").code == 0
    configure(folder, batch_day="monday")
    shown = seeded("schedule")
    assert "Rule:      friday 15:00 UTC" in shown.out
    assert "The configuration says monday 15:00, but friday 15:00 is in force" in shown.err
    reloaded = seeded("schedule", "--reload", "--json")
    assert (reloaded.json["rule"], reloaded.err) == ("monday 15:00", "")
    assert [actor for actor, _ in entries(folder, "schedule_changed")] == ["cli", "cli"]


def test_disabled_schedule_has_no_slot_to_skip(seeded: Cashback, folder: Path) -> None:
    configure(folder, auto_batch_enabled=False)
    shown = seeded("schedule", "--json").json
    assert (shown["enabled"], shown["rule"], shown["next_run"]) == (False, "off", None)
    assert "switched off" in seeded("schedule", "skip").error
    assert "never: auto_batch_enabled is false" in seeded("schedule").out


def test_reason_over_200_characters_is_refused(seeded: Cashback, folder: Path) -> None:
    assert "at most 200" in seeded("schedule", "pause", "--reason", "x" * 201).error
    assert rows(folder / "cashback.db", "SELECT paused_by FROM cashback_schedule_state") == []
