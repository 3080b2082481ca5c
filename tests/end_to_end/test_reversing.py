"""Reversals on Discord: the message, the decision, and every refusal."""

from __future__ import annotations

import pytest

from cashback.database.referral_program import preferences
from sandbox import Member
from tests.end_to_end.conftest import BOTH_BOTS, COMPLETE, DiscordFixture, field, saying, until
from tests.end_to_end.test_second_admin import refusal

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS


async def paid(guild: DiscordFixture) -> tuple[Member, Member, str]:
    """Pay two members; return them and the batch's ID."""
    bob, cid = await guild.referrer("Bob", 2500), await guild.referrer("Cid", 1000)
    summary = await guild.ask()
    await guild.press(summary, "Confirm")
    await guild.shows(summary, COMPLETE, "Users Paid:** 2")
    [(batch_id,)] = guild.ledger.rows("SELECT batch_id FROM cashback_payout_batches")
    return bob, cid, batch_id


async def test_one_payout_is_shown_confirmed_and_reversed(guild: DiscordFixture) -> None:
    zoe = guild.sandbox.add_member("Zoe", role_ids=[guild.admin_role.id])
    eve = guild.sandbox.add_member("Eve")
    async with guild.bot():
        bob, cid, batch_id = await paid(guild)
        asked = await guild.answer(f"!sendref-cashb reverse {batch_id} <@{bob.id}> a *stolen* card")
        shown = field(asked, "📊 Reversal")
        assert f"**From:** <@{bob.id}> (1 payout)" in shown
        assert "**Wallets Hold:** $25.00" in shown
        assert r"a \*stolen\* card" in shown
        assert f"Only <@{guild.admin.id}>" in await refusal(await guild.press(asked, "Confirm", by=zoe))
        assert "Only an admin" in await refusal(await guild.press(asked, "Confirm", by=eve))
        await guild.press(asked, "Confirm")
        done = await guild.shows(asked, "Referral Cashback Reversed", "**Reversed:** $25.00", "**Shortfall:** $0.00")
        assert all(each.disabled for each in done.buttons)
        line = await guild.sandbox.wait_for(saying("was not held", batch_id))
        assert line.channel_id == guild.audit.id
        assert f"by <@{guild.admin.id}>" in line.text
        again = await guild.answer(f"!sendref-cashb reverse {batch_id} {bob.id} once more")
        assert "has no credited payout to" in again.text
    assert [guild.ledger.balance(each.id) for each in (bob, cid)] == [0, 1000]
    assert guild.audit_actions()[-3:] == ["refused", "refused", "payouts_reversed"]


async def test_reversal_notifies_members_except_muted_ones(guild: DiscordFixture) -> None:
    async with guild.bot():
        bob, cid, batch_id = await paid(guild)
        await guild.ledger.database.write(preferences.set_payout_dm, bob.id, wanted=False)
        await until(lambda: len(guild.sandbox.direct_messages(cid.id)) == 1)
        asked = await guild.answer(f"!sendref-cashb reverse-batch {batch_id} the *import* was wrong")
        await guild.press(asked, "Confirm")
        await until(lambda: len(guild.sandbox.direct_messages(cid.id)) == 2)
        told = guild.sandbox.direct_messages(cid.id)[-1]
        assert "Referral Cashback Reversed" in told.text
        assert f"$10.00 of {batch_id} was taken out of your wallet" in told.text
        assert r"the \*import\* was wrong" in told.text
    assert ["Reversed" in each.text for each in guild.sandbox.direct_messages(bob.id)].count(True) == 0


async def test_batch_reversal_at_the_threshold_needs_another_admin(guild: DiscordFixture) -> None:
    guild.adjust(approval_threshold_cents=3600)
    zoe = guild.sandbox.add_member("Zoe", role_ids=[guild.admin_role.id])
    async with guild.bot():
        bob, cid, batch_id = await paid(guild)
        await until(lambda: len(guild.sandbox.direct_messages(cid.id)) == 1)
    guild.adjust(approval_threshold_cents=3500)
    async with guild.bot():
        asked = await guild.answer(f"!sendref-cashb reverse-batch {batch_id} the import was wrong")
        assert "two admins must approve" in asked.text
        await guild.press(asked, "Confirm")
        waits = await guild.shows(asked, "another admin must approve it")
        assert "A different admin must approve" in await refusal(await guild.press(waits, "Approve"))
        assert guild.ledger.balance(bob.id) == 2500
        await guild.press(waits, "Approve", by=zoe)
        await guild.shows(asked, "Reversed:** $35.00", f"<@{guild.admin.id}> and <@{zoe.id}>")
    assert [guild.ledger.balance(each.id) for each in (bob, cid)] == [0, 0]


async def test_reversal_under_a_message_that_cannot_be_edited_is_shown_to_the_admin(guild: DiscordFixture) -> None:
    async with guild.bot():
        bob = await guild.referrer("Bob", 500)
        await guild.ledger.pay(target_user_id=bob.id)
        asked = await guild.ask(f"!sendref-cashb reverse 1 {bob.id} mistaken")
        guild.sandbox.faults.fail("PATCH", f"/channels/[0-9]+/messages/{asked.id}", status=400, code=50083)
        assert "Referral Cashback Reversed" in await refusal(await guild.press(asked, "Confirm"))
    assert guild.ledger.balance(bob.id) == 0


async def test_a_reversal_can_be_cancelled_also_after_a_restart(guild: DiscordFixture) -> None:
    async with guild.bot():
        bob, _, batch_id = await paid(guild)
        asked = await guild.answer(f"!sendref-cashb reverse-batch {batch_id} a mistake")
    async with guild.bot():
        await guild.press(asked, "Cancel")
        shown = await guild.shows(asked, "Nothing was reversed")
        assert all(each.disabled for each in shown.buttons)
    assert guild.ledger.balance(bob.id) == 2500


@pytest.mark.parametrize(
    "words",
    ["reverse", "reverse {id}", "reverse {id} @ghost why", "reverse {id} why", "reverse-batch", "reverse-batch {id}"],
)
async def test_missing_or_mistyped_words_reverse_nothing(guild: DiscordFixture, words: str) -> None:
    async with guild.bot():
        _, _, batch_id = await paid(guild)
        refused = await guild.answer("!sendref-cashb " + words.format(id=batch_id))
        assert refused.text.startswith("❌")
        assert "Usage: `!sendref-cashb reverse" in refused.text
        eve = guild.sandbox.add_member("Eve")
        assert "Only an admin" in (await guild.answer(f"!sendref-cashb reverse-batch {batch_id} mine", by=eve)).text
    assert guild.ledger.rows("SELECT 1 FROM cashback_reversals") == []
