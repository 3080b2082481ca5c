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


def refuse_payouts(guild: DiscordFixture, condition: str) -> None:
    """Make the ledger refuse the wallet transactions that match the condition."""
    with raw(guild.ledger.path) as connection:
        connection.execute("DROP TRIGGER IF EXISTS refused")
        connection.execute(
            f"CREATE TRIGGER refused BEFORE INSERT ON wallet_transactions WHEN {condition}"
            " BEGIN SELECT RAISE(ABORT, 'the bank is closed'); END"
        )


async def crowd(guild: DiscordFixture, count: int) -> list[int]:
    """Add this many referrers with a dollar pending each and closed direct messages."""
    people = [guild.sandbox.add_member(f"Member {n}").id for n in range(count)]
    for person in people:
        guild.sandbox.faults.close_dms(person)
    await guild.ledger.earn_all((person, 100) for person in people)
    guild.adjust(chunk_size=1, progress_seconds=0.1, dm_per_second=1000)
    return people


async def stopped_batch(guild: DiscordFixture) -> Message:
    """Run a long batch and press Stop on its progress message."""
    summary = await guild.ask()
    await guild.press(summary, "Confirm")
    under_way = await guild.shows(summary, *UNDER_WAY)
    assert [each.label for each in under_way.buttons] == ["Stop"]
    await guild.press(under_way, "Stop")
    return await guild.shows(summary, STOPPED)


async def test_the_stop_button_ends_the_run_and_resume_pays_the_rest(guild: DiscordFixture) -> None:
    await crowd(guild, 300)
    zoe = guild.sandbox.add_member("Zoe", role_ids=[guild.admin_role.id])
    async with guild.bot():
        stopped = await stopped_batch(guild)
        assert [each.label for each in stopped.buttons] == ["Resume", "Abandon"]
        paid = guild.credited()
        assert 0 < paid < 300
        assert f"{300 - paid} payouts are left" in stopped.text
        assert f"**Users Paid:** {paid} of 300" in stopped.text
        assert guild.batches() == ["stopped"]
        await guild.press(stopped, "Resume", by=zoe)
        await guild.shows(stopped, COMPLETE, "Users Paid:** 300", seconds=60)
    assert guild.audit_actions()[-3:] == ["batch_stopped", "batch_resumed", "batch_finished"]


async def test_a_restart_does_not_resume_a_stopped_batch(guild: DiscordFixture) -> None:
    await crowd(guild, 300)
    async with guild.bot():
        stopped = await stopped_batch(guild)
    paid = guild.credited()
    async with guild.bot():
        other = await guild.referrer("Bob", 700)
        one = await guild.ask(f"!sendref-cashb {other.id}")
        await guild.press(one, "Confirm")
        await guild.shows(one, COMPLETE)
        assert (guild.batches(), guild.credited()) == (["stopped", "completed"], paid + 1)
        await guild.press(stopped, "Abandon")
        done = await guild.shows(stopped, COMPLETE, f"abandoned, still pending: {300 - paid}")
        assert all(each.disabled for each in done.buttons)
    assert guild.batches() == ["completed", "completed"]
    assert guild.credited() == paid + 1


async def test_non_admin_cannot_stop_or_resume(guild: DiscordFixture) -> None:
    await crowd(guild, 300)
    eve = guild.sandbox.add_member("Eve")
    async with guild.bot():
        stopped = await stopped_batch(guild)
        for label in ("Resume", "Abandon"):
            pressed = await guild.press(stopped, label, by=eve)
            await pressed.answered()
            await until(lambda pressed=pressed: pressed.followups)  # type: ignore[misc]
            assert "Only an admin" in pressed.followups[0].text
        for command in ("stop", "resume", "abandon", "retry"):
            assert "Only an admin" in (await guild.answer(f"!sendref-cashb {command} 1", by=eve)).text
        assert "Only an admin" in (await guild.answer("!sendref-cashb failures", by=eve)).text
        assert guild.batches() == ["stopped"]
        assert guild.audit_actions().count("refused") == 7


async def failed_batch(guild: DiscordFixture) -> tuple[Member, str]:
    """Pay two members, one of them with a failing payout; return that member and the batch's ID."""
    bob, _ = await guild.referrer("Bob", 2500), await guild.referrer("Cid", 1000)
    refuse_payouts(guild, f"NEW.user_discord_id = {bob.id}")
    summary = await guild.ask()
    await guild.press(summary, "Confirm")
    await guild.shows(summary, COMPLETE, "Failed:** 1")
    [(batch_id,)] = guild.ledger.rows("SELECT batch_id FROM cashback_payout_batches")
    return bob, batch_id


async def test_retry_pays_failed_payouts_until_all_are_paid(guild: DiscordFixture) -> None:
    async with guild.bot():
        bob, batch_id = await failed_batch(guild)
        listed = await guild.answer("!sendref-cashb failures")
        assert field(listed, batch_id) == f"<@{bob.id}> - $25.00: The ledger refused a row: the bank is closed."

        answer = await guild.answer(f"!sendref-cashb retry {batch_id} the bank has opened")
        await guild.shows(answer, COMPLETE, "Users Paid:** 1", "Failed:** 1")
        listed = await guild.answer("!sendref-cashb failures")
        assert "(tried 2 times)" in field(listed, batch_id)

        refuse_payouts(guild, "0")
        answer = await guild.answer(f"!sendref-cashb retry {batch_id.lower()}")
        done = await guild.shows(answer, COMPLETE, "Users Paid:** 2", "Failed:** 0", "Total Distributed:** $35.00")
        assert not any(each.label in {"Stop", "Resume"} for each in done.buttons)
        assert "There are no failed payouts" in (await guild.answer("!sendref-cashb failures")).text
        assert guild.ledger.balance(bob.id) == 2500
        await until(lambda: len(guild.sandbox.direct_messages(bob.id)) == 1)
        again = await guild.answer(f"!sendref-cashb retry {batch_id}")
        assert f"Batch {batch_id} is completed; there is no failed payout to retry" in again.text
    assert guild.ledger.rows("SELECT attempt, why, outcome FROM cashback_payout_attempts") == [
        (1, "the bank has opened", "failed"),
        (2, None, "credited"),
    ]


@pytest.mark.parametrize("word", ["abandon", "give-up"])
async def test_failed_payouts_can_be_abandoned_also_with_the_old_word(guild: DiscordFixture, word: str) -> None:
    async with guild.bot():
        bob, batch_id = await failed_batch(guild)
        answer = await guild.answer(f"!sendref-cashb {word} {batch_id}")
        assert "abandoned, still pending: 1, $25.00" in answer.text
        assert ("`give-up` is now called `abandon`" in answer.text) == (word == "give-up")
        assert "There are no failed payouts" in (await guild.answer("!sendref-cashb failures")).text
    assert (guild.batches(), guild.ledger.balance(bob.id)) == (["completed"], 0)
    assert await guild.ledger.pending(bob.id) == 2500


@pytest.mark.parametrize("command", ["stop", "resume", "abandon", "retry"])
async def test_unknown_batch_or_wrong_state_is_a_clear_error(guild: DiscordFixture, command: str) -> None:
    await guild.referrer("Bob", 2500)
    async with guild.bot():
        await guild.ask()
        name = f"!sendref-cashb {command}"
        assert "Usage: `!sendref-cashb " in (await guild.answer(name)).text
        assert "There is no batch BATCH-NONE" in (await guild.answer(f"{name} BATCH-NONE")).text
        assert "There is no batch number 77" in (await guild.answer(f"{name} 77")).text
        assert "Batch 1 is proposed; there is no" in (await guild.answer(f"{name} 1")).text
        if command != "retry":
            assert "more words" in (await guild.answer(f"{name} 1 2")).text
    assert guild.batches() == ["proposed"]


async def test_a_stop_from_another_process_ends_the_bots_run(guild: DiscordFixture) -> None:
    await crowd(guild, 300)
    async with guild.bot():
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await guild.shows(summary, *UNDER_WAY)
        command = ["-m", "cli", "--database", str(guild.ledger.path), "stop", "1"]
        done = await anyio.run_process([sys.executable, *command])
        assert b"stopped" in done.stdout
        await guild.shows(summary, STOPPED)
    assert guild.batches() == ["stopped"]


async def test_the_bot_tries_failed_payouts_again_by_itself(guild: DiscordFixture) -> None:
    async with guild.bot():
        bob, _ = await failed_batch(guild)
    refuse_payouts(guild, "0")
    guild.clock.advance(60 * guild.settings.referral_settings.payout_retry_minutes)
    async with guild.bot():
        await until(lambda: guild.batches() == ["completed"])
    assert guild.ledger.balance(bob.id) == 2500
    assert guild.ledger.rows("SELECT requested_by, outcome FROM cashback_payout_attempts") == [("system", "credited")]


@pytest.mark.parametrize("of", ["batch", "mention", "id", "all", "ALL"])
async def test_failed_direct_messages_are_sent_again(guild: DiscordFixture, of: str) -> None:
    bob = await guild.referrer("Bob", 2500)
    await guild.ledger.pay()
    with raw(guild.ledger.path) as connection:
        connection.execute("UPDATE cashback_notifications SET status = 'failed', attempts = 4")
    [(batch_id,)] = guild.ledger.rows("SELECT batch_id FROM cashback_payout_batches")
    async with guild.bot():
        assert "1 direct message failed" in (await guild.answer("!sendref-cashb notifications")).text
        word = {"batch": batch_id, "mention": f"<@{bob.id}>", "id": str(bob.id)}.get(of, of)
        assert (
            "1 direct message queued again" in (await guild.answer(f"!sendref-cashb notifications retry {word}")).text
        )
        assert "No failed direct messages" in (await guild.answer(f"!sendref-cashb notifications retry {word}")).text
    async with guild.bot():
        await until(lambda: len(guild.sandbox.direct_messages(bob.id)) == 1)
    assert guild.audit_actions().count("notifications_retried") == 1


async def test_messages_to_members_that_accept_none_are_counted_with_what_to_do(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    await guild.ledger.pay()
    with raw(guild.ledger.path) as connection:
        connection.execute("UPDATE cashback_notifications SET status = 'undeliverable', attempts = 1")
    async with guild.bot():
        shown = (await guild.answer("!sendref-cashb notifications")).text
        assert "0 direct messages failed, 0 queued, 1 undeliverable." in shown
        assert "notifications retry @user" in shown
        assert "1 direct message queued" in (await guild.answer(f"!sendref-cashb notifications retry <@{bob.id}>")).text


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
    guild: DiscordFixture, command: str, told: str
) -> None:
    async with guild.bot():
        assert told in (await guild.answer(command)).text


@pytest.mark.parametrize("words", ["", " nonsense", " BATCH-20990101-000000", " all of them", " <@12>"])
async def test_unclear_retry_of_direct_messages_is_refused(guild: DiscordFixture, words: str) -> None:
    async with guild.bot():
        assert "❌" in (await guild.answer(f"!sendref-cashb notifications retry{words}")).text
    assert "notifications_retried" not in guild.audit_actions()
