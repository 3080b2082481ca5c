"""A short night: two bots, wrong clocks, a dying ledger, typed commands; and its checks find what they look for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from cashback.database.audit_log import add_entry
from tests.conftest import drop_guards, raw
from verification.night import checks
from verification.night.ledgers import LockedFile
from verification.night.night import run_night
from verification.night.scene import Night, Typed, opened
from verification.testbed.findings import Losses

A_SEED = 24


@pytest.mark.parametrize("kind", ["file", "server"])
@pytest.mark.timeout(900)
def test_minute_of_everything_at_once_has_no_double_effect(kind: str, tmp_path: Path) -> None:
    found = run_night(tmp_path / "night", kind, weeks=1, seed=A_SEED)
    assert found.violations == ()
    assert found.losses == Losses()
    figures = dict(found.figures)
    assert figures["times that the ledger died"] > 0
    assert figures["times that a clock was wrong"] > 0
    assert figures["of these answered"] > 0
    assert figures["cents credited, each once"] > 0


@pytest.fixture
async def night(tmp_path: Path) -> AsyncIterator[Night]:
    """Set the stage of a night whose bots never start, after a week without anything to pay."""
    async with opened(tmp_path, LockedFile(tmp_path / "ledger"), A_SEED) as scene:
        for bot in scene.bots:
            (bot.folder / "bot.log").touch()
        yield scene


@pytest.mark.anyio
async def test_calm_night_has_no_findings(night: Night) -> None:
    assert checks.losses(night) == Losses()
    assert await checks.violations(night) == []


@pytest.mark.anyio
async def test_wallets_that_do_not_hold_what_was_earned_are_found(night: Night) -> None:
    night.earned[night.referrers[0].id] = 70
    night.earned[night.referrers[1].id] = 70
    assert isinstance(night.ledger.location, Path)
    drop_guards(night.ledger.location)
    with raw(night.ledger.location) as connection:
        connection.execute(f"UPDATE users SET wallet_balance_cents = 140 WHERE discord_id = {night.referrers[0].id}")
    assert checks.losses(night) == Losses(double_payments=1, lost_cents=70)


@pytest.mark.anyio
async def test_direct_message_without_a_payout_is_found(night: Night) -> None:
    member = night.referrers[0]
    channel = night.sandbox.open_direct_channel(member.id)
    await night.sandbox.say(channel.id, member.id, "Referral Cashback Received")
    assert await checks.violations(night) == [f"member {member.id} received 1 direct messages more than payouts"]


@pytest.mark.anyio
async def test_command_with_two_answers_and_two_effects_is_found(night: Night) -> None:
    channel, admin = night.sandbox.add_channel("typed"), night.sandbox.add_member("Ada")
    night.typed.append(Typed(text="sendref-cashb", admin=admin, channel=channel))
    for _ in range(2):
        await night.sandbox.say(channel.id, night.sandbox.bot_user_id, "done")
        await night.database.write(add_entry, at=night.clock(), actor=f"discord:{admin.id}", action="batch_proposed")
    assert await checks.violations(night) == [
        "the command 'sendref-cashb' has 2 entries of batch_proposed in the audit log",
        "the command 'sendref-cashb' has 2 answers: ['done', 'done']",
    ]


@pytest.mark.anyio
async def test_slot_that_was_missed_and_one_that_is_not_due_are_found(night: Night) -> None:
    night.begin_week()
    [slot] = night.slots
    coming = slot + timedelta(weeks=1)
    with raw(night.ledger.location) as connection:
        for moment in (slot, coming):
            connection.execute(
                "INSERT INTO cashback_schedule_slots (slot_at, status, decided_by, decided_at)"
                f" VALUES ('{moment:%Y-%m-%d %H:%M:%S.%f}', 'missed', 'schedule', '{slot:%Y-%m-%d %H:%M:%S.%f}')"
            )
    found = await checks.violations(night)
    assert any("were decided, not" in line for line in found)
    assert sum("is missed" in line for line in found) == 2


@pytest.mark.anyio
async def test_traceback_in_a_log_is_found(night: Night) -> None:
    (night.bots[0].folder / "bot.log").write_text("Traceback (most recent call last):\n")
    assert await checks.violations(night) == ["the log of bot 0 has 1 tracebacks"]
