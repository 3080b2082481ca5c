"""Members who left and deleted accounts: withheld or paid by the policy, and paid after their return."""

from __future__ import annotations

import pytest

from cashback.domain.model import Absence
from tests.end_to_end.conftest import BOTH_BOTS, COMPLETE, DiscordFixture, until

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS


def absent(town: DiscordFixture) -> dict[int, str]:
    """Return the recorded absences by member."""
    return dict(town.till.rows("SELECT user_id, kind FROM cashback_absent_members"))


async def test_leaver_is_withheld_and_paid_after_returning(town: DiscordFixture) -> None:
    town.adjust(leaver_policy="hold")
    bob, eve = await town.referrer("Bob", 2500), await town.referrer("Eve", 1000)
    town.sandbox.remove_member(bob.id)
    async with town.bot():
        await until(lambda: absent(town) == {bob.id: Absence.LEFT})
        summary = await town.ask()
        assert "Users Receiving Payment:** 1" in summary.text
        await town.press(summary, "Confirm")
        await town.shows(summary, COMPLETE, "Users Paid:** 1")
        assert "left out" in (await town.answer(f"!sendref-cashb {bob.id}")).text
    town.sandbox.add_member("Bob", id=bob.id)
    async with town.bot():
        await until(lambda: absent(town) == {})
        summary = await town.ask()
        await town.press(summary, "Confirm")
        await town.shows(summary, COMPLETE, "Users Paid:** 1")
    assert (town.till.balance(bob.id), town.till.balance(eve.id)) == (2500, 1000)


async def test_leavers_are_paid_without_the_policy(town: DiscordFixture) -> None:
    bob = await town.referrer("Bob", 2500)
    town.sandbox.remove_member(bob.id)
    async with town.bot():
        summary = await town.ask()
        await town.press(summary, "Confirm")
        await town.shows(summary, COMPLETE, "Users Paid:** 1", "Undeliverable:** 1")
    assert town.till.balance(bob.id) == 2500
    # Discord's refusal of the message showed that the member is gone.
    assert absent(town) == {bob.id: Absence.LEFT}


async def test_truncated_member_list_withholds_nothing(town: DiscordFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing member is requested individually before an absence is recorded."""
    town.adjust(leaver_policy="hold")
    bob, eve = await town.referrer("Bob", 2500), await town.referrer("Eve", 1000)
    town.sandbox.remove_member(eve.id)
    monkeypatch.setattr("sandbox.gateway.CHUNK_MEMBERS", 1)
    monkeypatch.setattr(type(town.sandbox.state), "guild_members", lambda _state: [])
    async with town.bot():
        await until(lambda: absent(town) == {eve.id: Absence.LEFT})
        assert "Users Receiving Payment:** 1" in (await town.ask()).text
    assert bob.id not in absent(town)


async def test_an_account_that_is_gone_is_held_whatever_the_policy_and_not_tried_again(town: DiscordFixture) -> None:
    nobody = 123456789012345678
    await town.till.earn(nobody, 2500)
    async with town.bot():
        summary = await town.ask()
        await town.press(summary, "Confirm")
        await town.shows(summary, COMPLETE, "Undeliverable:** 1")
        assert absent(town) == {nobody: Absence.GONE}
        await town.till.earn(nobody, 100)
        assert "left out" in (await town.answer("!sendref-cashb")).text
    assert len([each for each in town.sandbox.requests if each.path == "/users/@me/channels"]) == 1


async def test_a_message_that_arrives_notes_a_return(town: DiscordFixture) -> None:
    bob = await town.referrer("Bob", 2500)
    town.sandbox.faults.close_dms(bob.id, 50278)
    async with town.bot():
        first = await town.ask()
        await town.press(first, "Confirm")
        await town.shows(first, COMPLETE, "Undeliverable:** 1")
        assert absent(town) == {bob.id: Absence.LEFT}
        town.sandbox.faults.open_dms(bob.id)
        await town.till.earn(bob.id, 100)
        second = await town.ask()
        await town.press(second, "Confirm")
        await town.shows(second, COMPLETE, "Sent:** 1")
        await until(lambda: absent(town) == {})
