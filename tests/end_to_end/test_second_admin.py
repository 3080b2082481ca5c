"""Two admins on Discord: the first press waits, the second pays; and batches for selected payees."""

from __future__ import annotations

import pytest

from sandbox import Interaction, Message
from tests.end_to_end.conftest import BOTH_BOTS, COMPLETE, SUMMARY, DiscordFixture, field, titled, until

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS


async def refusal(interaction: Interaction) -> str:
    """Return the private answer to a press."""
    await interaction.answered()
    await until(lambda: interaction.followups)
    assert interaction.followups[0].ephemeral_to == interaction.member_id
    return interaction.followups[0].text


async def waiting(guild: DiscordFixture) -> Message:
    """As Ada, ask for a batch of ten dollars when ten dollars need two admins, and confirm it."""
    await guild.referrer("Bob", 1000)
    summary = await guild.ask()
    assert "From $10.00 on, two admins must approve. Your Confirm is the first of the two." in summary.text
    await guild.press(summary, "Confirm")
    shown = await guild.shows(summary, f"Approved by <@{guild.admin.id}>; another admin must approve it before")
    assert [(each.label, each.disabled) for each in shown.buttons] == [("Approve", False), ("Cancel", False)]
    return shown


async def test_another_admin_approves_and_both_names_are_shown(guild: DiscordFixture) -> None:
    guild.adjust(approval_threshold_cents=1000)
    zoe = guild.sandbox.add_member("Zoe", role_ids=[guild.admin_role.id])
    async with guild.bot():
        summary = await waiting(guild)
        assert guild.batches() == ["proposed"]
        await guild.press(summary, "Approve", by=zoe)
        done = await guild.shows(summary, COMPLETE, "Users Paid:** 1")
        assert f"**Approved By:** <@{guild.admin.id}> and <@{zoe.id}>" in done.text
        assert all(each.disabled for each in done.buttons)
        entry = await guild.audit_entry()
        assert (field(entry, "Processed By"), field(entry, "Approved By")) == (f"<@{guild.admin.id}>", f"<@{zoe.id}>")
    assert guild.audit_actions() == ["batch_proposed", "batch_first_approved", "batch_approved", "batch_finished"]


async def test_issuer_former_admin_and_member_cannot_be_the_second_approver(guild: DiscordFixture) -> None:
    guild.adjust(approval_threshold_cents=1000)
    zoe = guild.sandbox.add_member("Zoe", role_ids=[guild.admin_role.id])
    eve = guild.sandbox.add_member("Eve")
    async with guild.bot():
        summary = await waiting(guild)
        for _click in range(2):
            assert "A different admin must approve" in await refusal(await guild.press(summary, "Approve"))
        assert "Only an admin" in await refusal(await guild.press(summary, "Approve", by=eve))
        guild.sandbox.set_roles(zoe, [])
        assert "Only an admin" in await refusal(await guild.press(summary, "Approve", by=zoe))
        guild.sandbox.set_roles(guild.admin, [])
        assert "Only an admin" in await refusal(await guild.press(summary, "Approve"))
    assert guild.batches() == ["proposed"]
    assert guild.audit_actions() == ["batch_proposed", "batch_first_approved", *["refused"] * 5]


async def test_the_buttons_of_what_waits_work_after_a_restart_and_any_admin_may_cancel(guild: DiscordFixture) -> None:
    guild.adjust(approval_threshold_cents=1000)
    zoe = guild.sandbox.add_member("Zoe", role_ids=[guild.admin_role.id])
    async with guild.bot():
        summary = await waiting(guild)
    async with guild.bot():
        await guild.press(summary, "Cancel", by=zoe)
        await guild.shows(summary, "This batch was cancelled")
    assert guild.batches() == ["cancelled"]


async def test_what_waits_can_be_shown_again_and_expires(guild: DiscordFixture) -> None:
    guild.adjust(approval_threshold_cents=1000)
    async with guild.bot():
        await waiting(guild)
        asked = await guild.say("!sendref-cashb approve 1")
        again = await guild.sandbox.wait_for(lambda message: bool(message.buttons), after=asked)
        assert [each.label for each in again.buttons] == ["Approve", "Cancel"]
        assert "another admin must approve it" in again.text
    guild.clock.advance(24 * 3600)
    async with guild.bot():
        await guild.shows(again, "This summary expired")
        assert "does not wait for a second admin" in (await guild.answer("!sendref-cashb approve 1")).text
    assert guild.batches() == ["expired"]


async def test_a_weekly_batch_that_needs_an_admin_asks_for_one_in_the_audit_channel(guild: DiscordFixture) -> None:
    guild.adjust(approval_threshold_cents=1000)
    bob = await guild.referrer("Bob", 1000)
    guild.adjust(auto_batch_enabled=True)
    async with guild.bot():
        await until(lambda: guild.ledger.rows("SELECT 1 FROM cashback_schedule_state"))
    guild.clock.advance(7 * 24 * 3600)
    async with guild.bot():
        asked = await guild.sandbox.wait_for(lambda each: each.channel_id == guild.audit.id and bool(each.buttons))
        assert asked.embed["title"] == SUMMARY
        assert "Approved by the weekly schedule; another admin must approve it" in asked.text
        assert asked.pinged_roles == [guild.admin_role.id]
        await guild.sandbox.wait_for(lambda each: "waits for an admin" in each.text)
        assert guild.ledger.balance(bob.id) == 0
        await guild.press(asked, "Approve")
        await guild.shows(asked, COMPLETE, "Users Paid:** 1")
    assert guild.ledger.rows("SELECT status, batch_number FROM cashback_schedule_slots") == [("batched", 1)]


async def test_only_and_exclude_select_the_payees_and_the_summary_shows_it(guild: DiscordFixture) -> None:
    bob, cid, dan = [await guild.referrer(name, 1000) for name in ("Bob", "Cid", "Dan")]
    async with guild.bot():
        summary = await guild.ask(f"!sendref-cashb --exclude <@{bob.id}> {cid.id}")
        assert field(summary, "🚧 Excluded") == "Excluded by the admin: 2 members, $20.00"
        assert "Users Receiving Payment:** 1" in summary.text
        await guild.press(summary, "Cancel")

        summary = await guild.ask(f"!sendref-cashb --only <@{bob.id}> <@{dan.id}>")
        assert "Only 2 members named by you" in summary.text
        await guild.press(summary, "Confirm")
        done = await guild.shows(summary, COMPLETE, "Users Paid:** 2")
        assert "Left Out" not in done.text
    assert [guild.ledger.balance(each.id) for each in (bob, cid, dan)] == [1000, 0, 1000]


async def test_slash_commands_take_the_same_names(guild: DiscordFixture) -> None:
    bob, cid = [await guild.referrer(name, 1000) for name in ("Bob", "Cid")]
    async with guild.bot():
        asked = await guild.sandbox.slash(
            guild.channel.id, guild.admin.id, "sendref-cashb pay", {"exclude": f"<@{bob.id}>"}
        )
        await asked.answered()
        summary = await guild.sandbox.wait_for(lambda each: bool(each.buttons))
        assert f"1. <@{cid.id}> - $10.00" in summary.text
        assert f"<@{bob.id}>" not in summary.text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--exclude @ghost", "is neither a mention nor an id"),
        ("--exclude <@{bob}> <@123456789012345678>", "There is no user"),
        ("--exclud <@{bob}>", "is neither a mention nor an id"),
        ("-exclude <@{bob}>", "is neither a mention nor an id"),
        ("exclude <@{bob}>", "is neither a mention nor an id"),
        ("--exclude", "is neither a mention nor an id"),
        ("--only --exclude <@{bob}>", "--only has no value"),
        ("--only <@{bob}> --only <@{cid}>", "--only is given twice"),
        ("--only <@{bob}> --exclude <@{bob}>", "is named by both only and exclude"),
        ("<@{bob}> --exclude <@{cid}>", "not both"),
        ("--only <@{bob}> <@{eve}>", "has no pending cashback"),
    ],
)
async def test_a_name_that_is_wrong_is_an_error_and_never_a_larger_batch(
    guild: DiscordFixture, words: str, said: str
) -> None:
    bob, cid = [await guild.referrer(name, 1000) for name in ("Bob", "Cid")]
    eve = guild.sandbox.add_member("Eve")
    async with guild.bot():
        refused = await guild.answer("!sendref-cashb " + words.format(bob=bob.id, cid=cid.id, eve=eve.id))
        assert refused.text.startswith("❌")
        assert said in refused.text
        assert refused.pinged == []
    assert guild.batches() == []


async def test_excluded_member_with_nothing_pending_is_no_error(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 1000)
    eve = guild.sandbox.add_member("Eve")
    async with guild.bot():
        summary = await guild.ask(f"!sendref-cashb --exclude <@{eve.id}>")
        assert f"1. <@{bob.id}> - $10.00" in summary.text


async def test_second_admin_is_called_once_by_the_role(guild: DiscordFixture) -> None:
    guild.adjust(approval_threshold_cents=1000)
    bob = await guild.referrer("Bob", 1000)
    second = guild.sandbox.add_member("Grace", role_ids=[guild.admin_role.id])

    def calls() -> list[Message]:
        return [each for each in guild.sandbox.messages(guild.channel.id) if each.pinged_roles]

    async with guild.bot():
        summary = await guild.ask()
        assert calls() == []
        await guild.press(summary, "Confirm")
        await until(calls)
        await guild.shows(summary, "another admin must approve it")
        again = await guild.answer("!sendref-cashb approve 1")
    async with guild.bot():
        await guild.press(again, "Approve", second)
        await guild.shows(again, COMPLETE)
    (call,) = calls()
    assert (call.pinged_roles, call.reference_id) == ([guild.admin_role.id], summary.id)
    assert (call.pinged, call.pings_everyone) == ([], False)
    assert guild.ledger.balance(bob.id) == 1000


async def test_approval_stands_if_the_call_is_refused(guild: DiscordFixture) -> None:
    guild.adjust(approval_threshold_cents=1000)
    await guild.referrer("Bob", 1000)
    async with guild.bot():
        summary = await guild.ask()
        guild.sandbox.faults.fail("POST", f"/channels/{guild.channel.id}/messages$", status=403)
        await guild.press(summary, "Confirm")
        await guild.shows(summary, "another admin must approve it")
    assert guild.batches() == ["proposed"]


async def test_flagged_batch_shows_the_reasons_in_its_summary(guild: DiscordFixture) -> None:
    bob, _, _ = [await guild.referrer(name, cents) for name, cents in (("Bob", 9000), ("Cid", 100), ("Dan", 100))]
    async with guild.bot():
        summary = await guild.ask()
        assert field(summary, "⚠️ Flagged") == f"<@{bob.id}> takes 97% of it, $90.00; more than 50% is flagged."
        assert titled(SUMMARY)(summary)
