"""Reversals on Discord: the message, the decision, and every refusal."""

from __future__ import annotations

import pytest

from cashback.database.referral_program import preferences
from sandbox import Member
from tests.end_to_end.conftest import BOTH_BOTS, COMPLETE, DiscordFixture, field, saying, until
from tests.end_to_end.test_second_admin import refusal

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS


async def paid(town: DiscordFixture) -> tuple[Member, Member, str]:
    """Pay two members; return them and the batch's ID."""
    bob, cid = await town.referrer("Bob", 2500), await town.referrer("Cid", 1000)
    summary = await town.ask()
    await town.press(summary, "Confirm")
    await town.shows(summary, COMPLETE, "Users Paid:** 2")
    [(batch_id,)] = town.till.rows("SELECT batch_id FROM cashback_payout_batches")
    return bob, cid, batch_id


async def test_one_payout_is_shown_confirmed_and_reversed(town: DiscordFixture) -> None:
    zoe = town.sandbox.add_member("Zoe", role_ids=[town.admin_role.id])
    eve = town.sandbox.add_member("Eve")
    async with town.bot():
        bob, cid, batch_id = await paid(town)
        asked = await town.answer(f"!sendref-cashb reverse {batch_id} <@{bob.id}> a *stolen* card")
        shown = field(asked, "📊 Reversal")
        assert f"**From:** <@{bob.id}> (1 payout)" in shown
        assert "**Wallets Hold:** $25.00" in shown
        assert r"a \*stolen\* card" in shown
        assert f"Only <@{town.admin.id}>" in await refusal(await town.press(asked, "Confirm", by=zoe))
        assert "Only an admin" in await refusal(await town.press(asked, "Confirm", by=eve))
        await town.press(asked, "Confirm")
        done = await town.shows(asked, "Referral Cashback Reversed", "**Reversed:** $25.00", "**Shortfall:** $0.00")
        assert all(each.disabled for each in done.buttons)
        line = await town.sandbox.wait_for(saying("was not held", batch_id))
        assert line.channel_id == town.audit.id
        assert f"by <@{town.admin.id}>" in line.text
        again = await town.answer(f"!sendref-cashb reverse {batch_id} {bob.id} once more")
        assert "has no credited payout to" in again.text
    assert [town.till.balance(each.id) for each in (bob, cid)] == [0, 1000]
    assert town.audit_actions()[-3:] == ["refused", "refused", "payouts_reversed"]


async def test_reversal_notifies_members_except_muted_ones(town: DiscordFixture) -> None:
    async with town.bot():
        bob, cid, batch_id = await paid(town)
        await town.till.database.write(preferences.set_payout_dm, bob.id, wanted=False)
        await until(lambda: len(town.sandbox.direct_messages(cid.id)) == 1)
        asked = await town.answer(f"!sendref-cashb reverse-batch {batch_id} the *import* was wrong")
        await town.press(asked, "Confirm")
        await until(lambda: len(town.sandbox.direct_messages(cid.id)) == 2)
        told = town.sandbox.direct_messages(cid.id)[-1]
        assert "Referral Cashback Reversed" in told.text
        assert f"$10.00 of {batch_id} was taken out of your wallet" in told.text
        assert r"the \*import\* was wrong" in told.text
    assert ["Reversed" in each.text for each in town.sandbox.direct_messages(bob.id)].count(True) == 0


async def test_batch_reversal_at_the_threshold_needs_another_admin(town: DiscordFixture) -> None:
    town.adjust(approval_threshold_cents=3600)
    zoe = town.sandbox.add_member("Zoe", role_ids=[town.admin_role.id])
    async with town.bot():
        bob, cid, batch_id = await paid(town)
        await until(lambda: len(town.sandbox.direct_messages(cid.id)) == 1)
    town.adjust(approval_threshold_cents=3500)
    async with town.bot():
        asked = await town.answer(f"!sendref-cashb reverse-batch {batch_id} the import was wrong")
        assert "two admins must approve" in asked.text
        await town.press(asked, "Confirm")
        waits = await town.shows(asked, "another admin must approve it")
        assert "A different admin must approve" in await refusal(await town.press(waits, "Approve"))
        assert town.till.balance(bob.id) == 2500
        await town.press(waits, "Approve", by=zoe)
        await town.shows(asked, "Reversed:** $35.00", f"<@{town.admin.id}> and <@{zoe.id}>")
    assert [town.till.balance(each.id) for each in (bob, cid)] == [0, 0]


async def test_reversal_under_a_message_that_cannot_be_edited_is_shown_to_the_admin(town: DiscordFixture) -> None:
    async with town.bot():
        bob = await town.referrer("Bob", 500)
        await town.till.pay(target_user_id=bob.id)
        asked = await town.ask(f"!sendref-cashb reverse 1 {bob.id} mistaken")
        town.sandbox.faults.fail("PATCH", f"/channels/[0-9]+/messages/{asked.id}", status=400, code=50083)
        assert "Referral Cashback Reversed" in await refusal(await town.press(asked, "Confirm"))
    assert town.till.balance(bob.id) == 0


async def test_a_reversal_can_be_cancelled_also_after_a_restart(town: DiscordFixture) -> None:
    async with town.bot():
        bob, _, batch_id = await paid(town)
        asked = await town.answer(f"!sendref-cashb reverse-batch {batch_id} a mistake")
    async with town.bot():
        await town.press(asked, "Cancel")
        shown = await town.shows(asked, "Nothing was reversed")
        assert all(each.disabled for each in shown.buttons)
    assert town.till.balance(bob.id) == 2500


@pytest.mark.parametrize(
    "words",
    ["reverse", "reverse {id}", "reverse {id} @ghost why", "reverse {id} why", "reverse-batch", "reverse-batch {id}"],
)
async def test_missing_or_mistyped_words_reverse_nothing(town: DiscordFixture, words: str) -> None:
    async with town.bot():
        _, _, batch_id = await paid(town)
        refused = await town.answer("!sendref-cashb " + words.format(id=batch_id))
        assert refused.text.startswith("❌")
        assert "Usage: `!sendref-cashb reverse" in refused.text
        eve = town.sandbox.add_member("Eve")
        assert "Only an admin" in (await town.answer(f"!sendref-cashb reverse-batch {batch_id} mine", by=eve)).text
    assert town.till.rows("SELECT 1 FROM cashback_reversals") == []
