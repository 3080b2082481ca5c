"""Stop, resume, abandon and retry on Discord: the buttons, the commands, and the refusals."""

from __future__ import annotations

import sys

import anyio
import pytest

from sandbox import Member, Message
from tests.conftest import raw
from tests.end_to_end.conftest import BOTH_BOTS, COMPLETE, DiscordFixture, field, until

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS

STOPPED = "Referral Cashback Batch Stopped"
UNDER_WAY = ("In Progress", "Users Paid")


def refuse_payouts(town: DiscordFixture, condition: str) -> None:
    """Make the ledger refuse the wallet transactions that match the condition."""
    with raw(town.till.path) as connection:
        connection.execute("DROP TRIGGER IF EXISTS refused")
        connection.execute(
            f"CREATE TRIGGER refused BEFORE INSERT ON wallet_transactions WHEN {condition}"
            " BEGIN SELECT RAISE(ABORT, 'the bank is closed'); END"
        )


async def crowd(town: DiscordFixture, count: int) -> list[int]:
    """Add this many referrers with a dollar pending each and closed direct messages."""
    people = [town.sandbox.add_member(f"Member {n}").id for n in range(count)]
    for person in people:
        town.sandbox.faults.close_dms(person)
    await town.till.earn_all((person, 100) for person in people)
    town.adjust(chunk_size=1, progress_seconds=0.1, dm_per_second=1000)
    return people


async def stopped_batch(town: DiscordFixture) -> Message:
    """Run a long batch and press Stop on its progress message."""
    summary = await town.ask()
    await town.press(summary, "Confirm")
    under_way = await town.shows(summary, *UNDER_WAY)
    assert [each.label for each in under_way.buttons] == ["Stop"]
    await town.press(under_way, "Stop")
    return await town.shows(summary, STOPPED)


async def test_the_stop_button_ends_the_run_and_resume_pays_the_rest(town: DiscordFixture) -> None:
    await crowd(town, 300)
    zoe = town.sandbox.add_member("Zoe", role_ids=[town.admin_role.id])
    async with town.bot():
        stopped = await stopped_batch(town)
        assert [each.label for each in stopped.buttons] == ["Resume", "Abandon"]
        paid = town.credited()
        assert 0 < paid < 300
        assert f"{300 - paid} payouts are left" in stopped.text
        assert f"**Users Paid:** {paid} of 300" in stopped.text
        assert town.batches() == ["stopped"]
        await town.press(stopped, "Resume", by=zoe)
        await town.shows(stopped, COMPLETE, "Users Paid:** 300", seconds=60)
    assert town.audit_actions()[-3:] == ["batch_stopped", "batch_resumed", "batch_finished"]


async def test_a_restart_does_not_resume_a_stopped_batch(town: DiscordFixture) -> None:
    await crowd(town, 300)
    async with town.bot():
        stopped = await stopped_batch(town)
    paid = town.credited()
    async with town.bot():
        other = await town.referrer("Bob", 700)
        one = await town.ask(f"!sendref-cashb {other.id}")
        await town.press(one, "Confirm")
        await town.shows(one, COMPLETE)
        assert (town.batches(), town.credited()) == (["stopped", "completed"], paid + 1)
        await town.press(stopped, "Abandon")
        done = await town.shows(stopped, COMPLETE, f"abandoned, still pending: {300 - paid}")
        assert all(each.disabled for each in done.buttons)
    assert town.batches() == ["completed", "completed"]
    assert town.credited() == paid + 1


async def test_non_admin_cannot_stop_or_resume(town: DiscordFixture) -> None:
    await crowd(town, 300)
    eve = town.sandbox.add_member("Eve")
    async with town.bot():
        stopped = await stopped_batch(town)
        for label in ("Resume", "Abandon"):
            pressed = await town.press(stopped, label, by=eve)
            await pressed.answered()
            await until(lambda pressed=pressed: pressed.followups)  # type: ignore[misc]
            assert "Only an admin" in pressed.followups[0].text
        for command in ("stop", "resume", "abandon", "retry"):
            assert "Only an admin" in (await town.answer(f"!sendref-cashb {command} 1", by=eve)).text
        assert "Only an admin" in (await town.answer("!sendref-cashb failures", by=eve)).text
        assert town.batches() == ["stopped"]
        assert town.audit_actions().count("refused") == 7


async def failed_batch(town: DiscordFixture) -> tuple[Member, str]:
    """Pay two members, one of them with a failing payout; return that member and the batch's ID."""
    bob, _ = await town.referrer("Bob", 2500), await town.referrer("Cid", 1000)
    refuse_payouts(town, f"NEW.user_discord_id = {bob.id}")
    summary = await town.ask()
    await town.press(summary, "Confirm")
    await town.shows(summary, COMPLETE, "Failed:** 1")
    [(batch_id,)] = town.till.rows("SELECT batch_id FROM cashback_payout_batches")
    return bob, batch_id


async def test_retry_pays_failed_payouts_until_all_are_paid(town: DiscordFixture) -> None:
    async with town.bot():
        bob, batch_id = await failed_batch(town)
        listed = await town.answer("!sendref-cashb failures")
        assert field(listed, batch_id) == f"<@{bob.id}> - $25.00: The ledger refused a row: the bank is closed."

        answer = await town.answer(f"!sendref-cashb retry {batch_id} the bank has opened")
        await town.shows(answer, COMPLETE, "Users Paid:** 1", "Failed:** 1")
        listed = await town.answer("!sendref-cashb failures")
        assert "(tried 2 times)" in field(listed, batch_id)

        refuse_payouts(town, "0")
        answer = await town.answer(f"!sendref-cashb retry {batch_id.lower()}")
        done = await town.shows(answer, COMPLETE, "Users Paid:** 2", "Failed:** 0", "Total Distributed:** $35.00")
        assert not any(each.label in {"Stop", "Resume"} for each in done.buttons)
        assert "There are no failed payouts" in (await town.answer("!sendref-cashb failures")).text
        assert town.till.balance(bob.id) == 2500
        await until(lambda: len(town.sandbox.direct_messages(bob.id)) == 1)
        again = await town.answer(f"!sendref-cashb retry {batch_id}")
        assert f"Batch {batch_id} is completed; there is no failed payout to retry" in again.text
    assert town.till.rows("SELECT attempt, why, outcome FROM cashback_payout_attempts") == [
        (1, "the bank has opened", "failed"),
        (2, None, "credited"),
    ]


@pytest.mark.parametrize("word", ["abandon", "give-up"])
async def test_failed_payouts_can_be_abandoned_also_with_the_old_word(town: DiscordFixture, word: str) -> None:
    async with town.bot():
        bob, batch_id = await failed_batch(town)
        answer = await town.answer(f"!sendref-cashb {word} {batch_id}")
        assert "abandoned, still pending: 1, $25.00" in answer.text
        assert ("`give-up` is now called `abandon`" in answer.text) == (word == "give-up")
        assert "There are no failed payouts" in (await town.answer("!sendref-cashb failures")).text
    assert (town.batches(), town.till.balance(bob.id)) == (["completed"], 0)
    assert await town.till.pending(bob.id) == 2500


@pytest.mark.parametrize("command", ["stop", "resume", "abandon", "retry"])
async def test_unknown_batch_or_wrong_state_is_a_clear_error(town: DiscordFixture, command: str) -> None:
    await town.referrer("Bob", 2500)
    async with town.bot():
        await town.ask()
        name = f"!sendref-cashb {command}"
        assert "Usage: `!sendref-cashb " in (await town.answer(name)).text
        assert "There is no batch BATCH-NONE" in (await town.answer(f"{name} BATCH-NONE")).text
        assert "There is no batch number 77" in (await town.answer(f"{name} 77")).text
        assert "Batch 1 is proposed; there is no" in (await town.answer(f"{name} 1")).text
        if command != "retry":
            assert "more words" in (await town.answer(f"{name} 1 2")).text
    assert town.batches() == ["proposed"]


async def test_a_stop_from_another_process_ends_the_bots_run(town: DiscordFixture) -> None:
    await crowd(town, 300)
    async with town.bot():
        summary = await town.ask()
        await town.press(summary, "Confirm")
        await town.shows(summary, *UNDER_WAY)
        command = ["-m", "cli", "--database", str(town.till.path), "stop", "1"]
        done = await anyio.run_process([sys.executable, *command])
        assert b"stopped" in done.stdout
        await town.shows(summary, STOPPED)
    assert town.batches() == ["stopped"]


async def test_the_bot_tries_failed_payouts_again_by_itself(town: DiscordFixture) -> None:
    async with town.bot():
        bob, _ = await failed_batch(town)
    refuse_payouts(town, "0")
    town.clock.advance(60 * town.settings.referral_settings.payout_retry_minutes)
    async with town.bot():
        await until(lambda: town.batches() == ["completed"])
    assert town.till.balance(bob.id) == 2500
    assert town.till.rows("SELECT requested_by, outcome FROM cashback_payout_attempts") == [("system", "credited")]


@pytest.mark.parametrize("of", ["batch", "mention", "id", "all", "ALL"])
async def test_failed_direct_messages_are_sent_again(town: DiscordFixture, of: str) -> None:
    bob = await town.referrer("Bob", 2500)
    await town.till.pay()
    with raw(town.till.path) as connection:
        connection.execute("UPDATE cashback_notifications SET status = 'failed', attempts = 4")
    [(batch_id,)] = town.till.rows("SELECT batch_id FROM cashback_payout_batches")
    async with town.bot():
        assert "1 direct message failed" in (await town.answer("!sendref-cashb notifications")).text
        word = {"batch": batch_id, "mention": f"<@{bob.id}>", "id": str(bob.id)}.get(of, of)
        assert "1 direct message queued again" in (await town.answer(f"!sendref-cashb notifications retry {word}")).text
        assert "No failed direct messages" in (await town.answer(f"!sendref-cashb notifications retry {word}")).text
    async with town.bot():
        await until(lambda: len(town.sandbox.direct_messages(bob.id)) == 1)
    assert town.audit_actions().count("notifications_retried") == 1


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("!sendref-cashb notifications retry", "The batch or member is missing."),
        ("!sendref-cashb order", "The order id is missing."),
        ("!sendref-cashb show BATCH-20990101-000000", "the history lists those that there are"),
        ("!referral-link", "The referrer is missing."),
    ],
)
async def test_answer_has_no_name_of_the_program_text_or_command_line(
    town: DiscordFixture, command: str, told: str
) -> None:
    async with town.bot():
        assert told in (await town.answer(command)).text


@pytest.mark.parametrize("words", ["", " nonsense", " BATCH-20990101-000000", " all of them", " <@12>"])
async def test_unclear_retry_of_direct_messages_is_refused(town: DiscordFixture, words: str) -> None:
    async with town.bot():
        assert "❌" in (await town.answer(f"!sendref-cashb notifications retry{words}")).text
    assert "notifications_retried" not in town.audit_actions()
