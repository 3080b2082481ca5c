"""Members who left and deleted accounts: withheld or paid by the policy, and paid after their return."""

from __future__ import annotations

import pytest

from cashback.domain.model import Absence
from tests.end_to_end.conftest import BOTH_BOTS, COMPLETE, DiscordFixture, until

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS


def absent(guild: DiscordFixture) -> dict[int, str]:
    """Return the recorded absences by member."""
    return dict(guild.ledger.rows("SELECT user_id, kind FROM cashback_absent_members"))


async def test_leaver_is_withheld_and_paid_after_returning(guild: DiscordFixture) -> None:
    guild.adjust(leaver_policy="hold")
    bob, eve = await guild.referrer("Bob", 2500), await guild.referrer("Eve", 1000)
    guild.sandbox.remove_member(bob.id)
    async with guild.bot():
        await until(lambda: absent(guild) == {bob.id: Absence.LEFT})
        summary = await guild.ask()
        assert "Users Receiving Payment:** 1" in summary.text
        await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE, "Users Paid:** 1")
        assert "is excluded" in (await guild.answer(f"!sendref-cashb {bob.id}")).text
    guild.sandbox.add_member("Bob", id=bob.id)
    async with guild.bot():
        await until(lambda: absent(guild) == {})
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE, "Users Paid:** 1")
    assert (guild.ledger.balance(bob.id), guild.ledger.balance(eve.id)) == (2500, 1000)


async def test_leavers_are_paid_without_the_policy(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    guild.sandbox.remove_member(bob.id)
    async with guild.bot():
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE, "Users Paid:** 1", "Undeliverable:** 1")
    assert guild.ledger.balance(bob.id) == 2500
    # Discord's refusal of the message showed that the member is gone.
    assert absent(guild) == {bob.id: Absence.LEFT}


async def test_truncated_member_list_withholds_nothing(guild: DiscordFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing member is requested individually before an absence is recorded."""
    guild.adjust(leaver_policy="hold")
    bob, eve = await guild.referrer("Bob", 2500), await guild.referrer("Eve", 1000)
    guild.sandbox.remove_member(eve.id)
    monkeypatch.setattr("sandbox.gateway.CHUNK_MEMBERS", 1)
    monkeypatch.setattr(type(guild.sandbox.state), "guild_members", lambda _state: [])
    async with guild.bot():
        await until(lambda: absent(guild) == {eve.id: Absence.LEFT})
        assert "Users Receiving Payment:** 1" in (await guild.ask()).text
    assert bob.id not in absent(guild)


async def test_an_account_that_is_gone_is_held_whatever_the_policy_and_not_tried_again(guild: DiscordFixture) -> None:
    nobody = 123456789012345678
    await guild.ledger.earn(nobody, 2500)
    async with guild.bot():
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE, "Undeliverable:** 1")
        assert absent(guild) == {nobody: Absence.GONE}
        await guild.ledger.earn(nobody, 100)
        assert "excluded members" in (await guild.answer("!sendref-cashb")).text
    assert len([each for each in guild.sandbox.requests if each.path == "/users/@me/channels"]) == 1


async def test_a_message_that_arrives_notes_a_return(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    guild.sandbox.faults.close_dms(bob.id, 50278)
    async with guild.bot():
        first = await guild.ask()
        await guild.press(first, "Confirm")
        await guild.shows(first, COMPLETE, "Undeliverable:** 1")
        assert absent(guild) == {bob.id: Absence.LEFT}
        guild.sandbox.faults.open_dms(bob.id)
        await guild.ledger.earn(bob.id, 100)
        second = await guild.ask()
        await guild.press(second, "Confirm")
        await guild.shows(second, COMPLETE, "Sent:** 1")
        await until(lambda: absent(guild) == {})
