"""The history on Discord: batches and payouts in pages, with the numbers of the ledger."""

from __future__ import annotations

import pytest

from sandbox import Message
from tests.end_to_end.conftest import BOTH_BOTS, DiscordFixture, field

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS


def headlines(message: Message) -> list[str]:
    """List the names of an embed's fields."""
    return [str(each["name"]) for each in message.embed["fields"]]


async def paid(guild: DiscordFixture, count: int) -> list[str]:
    """Pay this many batches, a minute apart; return their IDs, newest first."""
    bob = await guild.referrer("Bob")
    found = []
    for _ in range(count):
        await guild.ledger.earn(bob.id, 100)
        found.append((await guild.ledger.pay()).batch_id or "")
        guild.clock.advance(60)
    return found[::-1]


async def test_batches_are_listed_newest_first_in_pages(guild: DiscordFixture) -> None:
    ids = await paid(guild, 10)
    async with guild.bot():
        first = await guild.answer("!sendref-cashb history")
        assert headlines(first) == [f"{batch_id} · completed" for batch_id in ids[:8]]
        assert "**$1.00** to 1 user" in first.text
        await guild.press(first, "Next")
        second = await guild.shows(first, ids[9])
        assert headlines(second) == [f"{batch_id} · completed" for batch_id in ids[8:]]
        asked = await guild.answer("!sendref-cashb history 2")
        assert headlines(asked) == headlines(second)


async def test_batches_are_found_by_state_person_and_day(guild: DiscordFixture) -> None:
    [batch_id] = await paid(guild, 1)
    eve = await guild.referrer("Eve", 500)
    await guild.ledger.propose()
    async with guild.bot():
        assert headlines(await guild.answer("!sendref-cashb history --state completed")) == [f"{batch_id} · completed"]
        of_eve = await guild.answer(f"!sendref-cashb history --person {eve.id}")
        assert headlines(of_eve) == ["Batch number 2 · proposed"]
        assert "$5.00 planned for 1 user" in of_eve.text
        assert "There is no such batch." in (await guild.answer("!sendref-cashb history --to 2026-07-02")).text
        assert "is not a batch state" in (await guild.answer("!sendref-cashb history --state paid")).text
        asked = await guild.sandbox.slash(
            guild.channel.id, guild.admin.id, "sendref-cashb history", {"state": "completed", "from": "2026-07-03"}
        )
        answer = await asked.replied()
        assert answer is not None
        assert headlines(answer) == [f"{batch_id} · completed"]


async def test_a_batch_is_shown_with_its_payouts_in_pages(guild: DiscordFixture) -> None:
    people = [await guild.referrer(f"Member {number}", 200 - number) for number in range(20)]
    report = await guild.ledger.pay()
    async with guild.bot():
        shown = await guild.answer(f"!sendref-cashb show {report.batch_id}")
        assert field(shown, "Paid") == "$38.10 to 20 users"
        lines = field(shown, "Payouts").splitlines()
        assert lines == [f"<@{person.id}> ${2 - number / 100:.2f}" for number, person in enumerate(people[:15])]
        await guild.press(shown, "Next")
        rest = await guild.shows(shown, f"<@{people[19].id}>")
        assert len(field(rest, "Payouts").splitlines()) == 5
        await guild.press(rest, "Previous")
        first = await guild.shows(shown, f"<@{people[0].id}>")
        assert field(first, "Payouts").splitlines() == lines
        assert [each.disabled for each in first.buttons] == [True, True, False]
        stranger = await guild.press(first, "Next", by=people[0])
        answer = await stranger.answered()
        assert answer.ephemeral
        suggested = await guild.sandbox.autocomplete(
            guild.channel.id, guild.admin.id, "sendref-cashb show", "batch", {"batch": "batch-2026"}
        )
        assert [each["value"] for each in suggested] == [report.batch_id]


async def test_previous_leads_back_page_by_page(guild: DiscordFixture) -> None:
    people = [await guild.referrer(f"Member {number}", 200 - number) for number in range(40)]
    report = await guild.ledger.pay()
    async with guild.bot():
        shown = await guild.answer(f"!sendref-cashb show {report.batch_id}")
        await guild.press(shown, "Next")
        second = field(await guild.shows(shown, f"<@{people[15].id}>"), "Payouts")
        await guild.press(shown, "Next")
        await guild.shows(shown, f"<@{people[39].id}>")
        await guild.press(shown, "Previous")
        back = await guild.shows(shown, f"<@{people[15].id}>")
        assert field(back, "Payouts") == second


async def test_non_admin_sees_no_history(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 100)
    await guild.ledger.pay()
    async with guild.bot():
        for words in ("history", "show 1"):
            assert "Your attempt was recorded." in (await guild.answer(f"!sendref-cashb {words}", by=bob)).text
