"""The members' slash commands: private answers, notes by direct message, and every refusal."""

from __future__ import annotations

import itertools
from datetime import timedelta
from decimal import Decimal

import pytest

from cashback.cogs.texts.member_embeds import REASONS
from cashback.database.payouts import absences
from cashback.database.referral_program import blacklist
from cashback.database.referral_program.purchases import Purchase, record_purchases
from cashback.domain.model import Absence, ExclusionReason, SkipReason
from cashback.services import CLI, AdminService
from sandbox import Member, Message
from tests.conftest import ALL_OF_IT_PPM
from tests.end_to_end.conftest import BOTH_BOTS, COMPLETE, DiscordFixture, field, until

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS

NOBODY = 123456789012345678


async def ask(guild: DiscordFixture, who: Member, command: str, **options: object) -> Message:
    """Use a slash command; return the answer, which only this member sees."""
    asked = await guild.sandbox.slash(guild.channel.id, who.id, command, options)
    answer = await asked.replied()
    assert answer is not None
    assert answer.ephemeral_to == who.id
    return answer


async def note_to(guild: DiscordFixture, who: Member, *words: str) -> Message:
    """Wait for a direct message with these words."""

    def found() -> list[Message]:
        return [each for each in guild.sandbox.direct_messages(who.id) if all(word in each.text for word in words)]

    await until(found)
    return found()[-1]


async def test_invite_shows_the_code_the_percentage_and_what_it_brought_also_by_direct_message(
    guild: DiscordFixture,
) -> None:
    bob = await guild.referrer("Bob", 250, 100)
    guild.adjust(cashback_percent=Decimal("0.57"), holding_days=7, min_payout_cents=500)
    async with guild.bot():
        shown = await ask(guild, bob, "invite")
        note = await note_to(guild, bob, "Your Referral Code")
    for message in (shown, note):
        assert f"`/setref {bob.id}`" in message.text
        how = field(message, "How It Works")
        assert "**0.57%**" in how
        assert "7 days after the purchase" in how
        assert "$5.00" in how
        assert (field(message, "Referrals"), field(message, "You Earned")) == ("2", "$3.50")


async def test_invite_works_with_closed_direct_messages(guild: DiscordFixture) -> None:
    bob = guild.sandbox.add_member("Bob")
    guild.sandbox.faults.close_dms(bob.id)
    async with guild.bot():
        shown = await ask(guild, bob, "invite")
        assert "It goes into your wallet" in field(shown, "How It Works")
        assert "10%" not in shown.text
        await guild.answer("!sendref-cashb nonsense")
    assert guild.sandbox.direct_messages(bob.id) == []


async def test_invite_sends_no_more_direct_messages_than_are_good_for_the_payouts(guild: DiscordFixture) -> None:
    bob = guild.sandbox.add_member("Bob")
    async with guild.bot():
        for _ in range(3):
            await ask(guild, bob, "invite")
        asked = await guild.sandbox.slash(guild.channel.id, bob.id, "invite")
        answer = await asked.replied()
        assert answer is not None
        assert "ask again in" in answer.text
        assert answer.ephemeral_to == bob.id
        await until(lambda: len(guild.sandbox.direct_messages(bob.id)) == 3)


async def test_invites_turns_pages_of_ten(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", *range(100, 123))
    async with guild.bot():
        page = await ask(guild, bob, "invites")
        assert field(page, "Referrals") == "23"
        lines = field(page, "Members and What You Earned").splitlines()
        assert len(lines) == 10
        assert lines[0].startswith("1. <@900000> - $1.00 earned ($1.00 pending)")
        assert turning(page) == [("Previous", True), ("Next", False)]
        await turn(guild, bob, page, "Next", "Page 2 of 3", "11. ")
    async with guild.bot():
        # The bot that showed the page is gone; the buttons carry the page.
        await turn(guild, bob, page, "Next", "Page 3 of 3", "23. ")
        assert turning(page) == [("Previous", False), ("Next", True)]
        await turn(guild, bob, page, "Previous", "Page 2 of 3", "20. ")


def turning(page: Message) -> list[tuple[str | None, bool]]:
    """Return the buttons that turn pages, and whether each is disabled."""
    return [(each.label, each.disabled) for each in page.buttons if each.label in {"Previous", "Next"}]


async def turn(guild: DiscordFixture, who: Member, page: Message, label: str, *words: str) -> None:
    """Press a page's button and wait for what it leads to."""
    custom_id = next(each.custom_id or "" for each in page.buttons if each.label == label)
    await guild.sandbox.click(page.id, custom_id, who.id)
    await until(lambda: all(word in page.text for word in words))


async def test_invites_without_referrals_shows_a_hint(guild: DiscordFixture) -> None:
    bob = guild.sandbox.add_member("Bob")
    async with guild.bot():
        page = await ask(guild, bob, "invites")
        assert "You have no referrals yet" in page.text
        assert turning(page) == []


async def test_setref_links_two_members_and_notifies_both(guild: DiscordFixture) -> None:
    bob, eve = guild.sandbox.add_member("Bob"), guild.sandbox.add_member("Eve")
    async with guild.bot():
        answer = await ask(guild, eve, "setref", code=f" {bob.id} ")
        assert f"invited by <@{bob.id}>" in answer.text
        await note_to(guild, eve, f"<@{bob.id}>")
        await note_to(guild, bob, f"<@{eve.id}> entered your code", "0.5%")
    assert guild.ledger.rows("SELECT referrer_user_id, referred_user_id FROM referrals") == [(bob.id, eve.id)]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("{eve}", "cannot refer themselves"),
        ("{bot}", "is a bot"),
        (str(NOBODY), "No member of this server"),
        ("{left}", "No member of this server"),
        ("BOB-25", "is not a referral code"),
        ("0", "is not a referral code"),
        ("-5", "is not a referral code"),
        ("9" * 30, "is not a referral code"),
        ("<@{bob}>", "is not a referral code"),
        ("@everyone", "is not a referral code"),
    ],
)
async def test_setref_refuses(guild: DiscordFixture, code: str, told: str) -> None:
    bob, eve = guild.sandbox.add_member("Bob"), guild.sandbox.add_member("Eve")
    machine, left = guild.sandbox.add_member("Machine", bot=True), guild.sandbox.add_member("Left")
    guild.sandbox.remove_member(left.id)
    async with guild.bot():
        text = code.format(bob=bob.id, eve=eve.id, bot=machine.id, left=left.id)
        answer = await ask(guild, eve, "setref", code=text)
        assert answer.text.startswith("❌")
        assert told in answer.text
        assert answer.pinged == []
    assert guild.ledger.rows("SELECT 1 FROM referrals") == []
    assert guild.sandbox.direct_messages(eve.id) == []


async def test_setref_works_once_for_ever(guild: DiscordFixture) -> None:
    bob, eve, zoe = (guild.sandbox.add_member(name) for name in ("Bob", "Eve", "Zoe"))
    async with guild.bot():
        await ask(guild, eve, "setref", code=str(bob.id))
        for again in (zoe, bob):
            answer = await ask(guild, eve, "setref", code=str(again.id))
            assert "already been referred" in answer.text
    assert guild.ledger.rows("SELECT referrer_user_id FROM referrals") == [(bob.id,)]


@pytest.mark.parametrize("length", [2, 3, 5])
async def test_setref_refuses_a_circle_of_any_length(guild: DiscordFixture, length: int) -> None:
    ring = [guild.sandbox.add_member(f"Member {number}") for number in range(length)]
    async with guild.bot():
        for referrer, referred in itertools.pairwise(ring):
            await ask(guild, referred, "setref", code=str(referrer.id))
        answer = await ask(guild, ring[0], "setref", code=str(ring[-1].id))
        assert "referral loop" in answer.text
    assert len(guild.ledger.rows("SELECT 1 FROM referrals")) == length - 1


async def test_setref_is_refused_if_discord_does_not_answer(guild: DiscordFixture) -> None:
    bob, eve = guild.sandbox.add_member("Bob"), guild.sandbox.add_member("Eve")
    guild.sandbox.faults.fail("GET", f"/members/{bob.id}$", status=503)
    async with guild.bot():
        answer = await ask(guild, eve, "setref", code=str(bob.id))
        assert "Discord does not answer at the moment" in answer.text
    assert guild.ledger.rows("SELECT 1 FROM referrals") == []


async def test_a_profile_is_ones_own_and_others_are_for_admins(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    eve = guild.sandbox.add_member("Eve")
    async with guild.bot():
        own = await ask(guild, bob, "profile")
        assert f"<@{bob.id}>" in own.text
        shown = [field(own, name) for name in ("Pending", "Referred By", "Blacklisted")]
        assert shown == ["$25.00", "nobody", "no"]
        assert "Referral Profile" in (await ask(guild, bob, "profile", member=bob.id)).text
        refused = await ask(guild, eve, "profile", member=bob.id)
        assert "Only an admin" in refused.text
        assert "$25.00" not in refused.text
        others = await ask(guild, guild.admin, "profile", member=bob.id)
        assert field(others, "Pending") == "$25.00"
    assert guild.audit_actions() == ["refused"]


async def test_cashback_shows_what_is_pending_and_what_was_paid(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    guild.adjust(auto_batch_enabled=True)
    async with guild.bot():
        before = await ask(guild, bob, "cashback show")
        assert (field(before, "Pending"), field(before, "Wallet Balance")) == ("$25.00", "$0.00")
        assert "$25.00, as of now" in field(before, "Next Payout")
        assert field(before, "Last Payouts") == "None yet."
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE)
        after = await ask(guild, bob, "cashback show")
        batch_id = guild.ledger.rows("SELECT batch_id FROM cashback_payout_batches WHERE batch_id IS NOT NULL")[0][0]
        assert (field(after, "Pending"), field(after, "Wallet Balance")) == ("$0.00", "$25.00")
        assert "✅ $25.00" in field(after, "Last Payouts")
        assert batch_id in field(after, "Last Payouts")
        assert "you have nothing to be paid yet" in field(after, "Next Payout")


WHY = "Why Something Is Not Paid"


def test_every_skip_and_exclusion_reason_has_a_text() -> None:
    assert set(REASONS) == {*SkipReason, *ExclusionReason}


async def test_cashback_shows_a_reversal(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 250)
    report = await guild.ledger.pay()
    service = AdminService(guild.ledger.database, guild.settings, lambda _number: 0)
    reversal = await service.propose_reversal(CLI, report.batch_number, referrer_id=bob.id, reason="*stolen* card")
    await service.approve_reversal(CLI, reversal.number)
    async with guild.bot():
        shown = await ask(guild, bob, "cashback show")
        assert field(shown, "Wallet Balance") == "$0.00"
        assert rf"An admin reversed $2.50 of `{report.batch_id}`" in field(shown, WHY)
        assert r"\*stolen\* card" in field(shown, WHY)


async def test_cashback_shows_that_an_amount_is_below_the_minimum_payout(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 250)
    guild.adjust(min_payout_cents=1000)
    async with guild.bot():
        assert "$2.50 is below the minimum payout of $10.00" in field(await ask(guild, bob, "cashback show"), WHY)


async def test_cashback_shows_the_end_of_the_holding_period(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 250)
    bought = Purchase(order_id="held", buyer_id=900_000, amount_cents=300)
    await guild.ledger.database.write(record_purchases, [bought], ALL_OF_IT_PPM, guild.clock(), holding_days=10)
    until_when = int((guild.clock() + timedelta(days=10)).timestamp())
    async with guild.bot():
        shown = await ask(guild, bob, "cashback show")
        assert (field(shown, "Pending"), field(shown, "In Holding Period")) == ("$2.50", "$3.00")
        assert f"$3.00 is in the holding period until <t:{until_when}:D>" in field(shown, WHY)


async def test_cashback_shows_what_a_refund_reversed(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 250)
    await guild.ledger.pay()
    await guild.ledger.database.log_referral_refund("order-1", 100)
    async with guild.bot():
        shown = field(await ask(guild, bob, "cashback show"), WHY)
        assert "$1.00 that had already been paid was reversed by a refund" in shown
        assert f"A refund on <t:{int(guild.clock().timestamp())}:D> reversed $1.00" in shown


async def test_cashback_shows_the_reason_of_a_blacklisting(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 250)
    barred = blacklist.blacklist
    await guild.ledger.database.write(barred, bob.id, reason="own *second* account", actor="cli", now=guild.clock())
    async with guild.bot():
        shown = field(await ask(guild, bob, "cashback show"), WHY)
        assert "Blacklisted from referral cashback" in shown
        assert r"own \*second\* account" in shown


async def test_cashback_shows_the_reason_of_a_missing_payout(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 250)
    number = await guild.ledger.approved()
    await guild.ledger.database.blacklist_referral_user(bob.id)
    await guild.ledger.run(number)
    async with guild.bot():
        shown = field(await ask(guild, bob, "cashback show"), "Last Payouts")
        assert "$2.50 not paid" in shown
        assert shown.endswith("blacklisted")


async def test_command_ends_a_recorded_absence(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 250)
    await guild.ledger.database.write(absences.note, bob.id, Absence.GONE, guild.clock())
    async with guild.bot():
        await ask(guild, bob, "cashback show")
        summary = await guild.ask()
        assert "Users Receiving Payment:** 1" in summary.text


async def test_notifications_off_mutes_the_message_and_pays_all_the_same(guild: DiscordFixture) -> None:
    bob = await guild.referrer("Bob", 2500)
    async with guild.bot():
        assert "now off" in (await ask(guild, bob, "cashback notifications off")).text
        assert "already off" in (await ask(guild, bob, "cashback notifications off")).text
        summary = await guild.ask()
        await guild.press(summary, "Confirm")
        await guild.shows(summary, COMPLETE, "Muted:** 1")
        assert guild.ledger.balance(bob.id) == 2500
        assert guild.sandbox.direct_messages(bob.id) == []
        assert "are off" in (await ask(guild, bob, "cashback show")).text
        assert "now on" in (await ask(guild, bob, "cashback notifications on")).text
        await guild.ledger.earn(bob.id, 100)
        await guild.press(again := await guild.ask(), "Confirm")
        await guild.shows(again, COMPLETE, "Sent:** 1")


@pytest.mark.parametrize("command", ["invite", "invites", "profile", "cashback show", "cashback notifications off"])
async def test_a_ledger_that_is_away_is_one_clear_line(guild: DiscordFixture, command: str) -> None:
    bob = guild.sandbox.add_member("Bob")
    guild.ledger.honest = False
    async with guild.bot():
        await guild.answer("!sendref-cashb nonsense")
        guild.ledger.path.rename(guild.ledger.path.with_suffix(".away"))
        answer = await ask(guild, bob, command)
        guild.ledger.path.with_suffix(".away").rename(guild.ledger.path)
        assert answer.text.startswith("❌ Database")
        assert "Traceback" not in answer.text


async def test_a_command_that_discord_sends_twice_is_answered_once(guild: DiscordFixture) -> None:
    bob, eve = guild.sandbox.add_member("Bob"), guild.sandbox.add_member("Eve")
    guild.sandbox.faults.duplicate_events("INTERACTION_CREATE")
    async with guild.bot():
        asked = await guild.sandbox.slash(guild.channel.id, eve.id, "setref", {"code": str(bob.id)})
        await asked.replied()
        await note_to(guild, bob, "entered your code")
        assert asked.refused == 0
        await guild.answer("!sendref-cashb nonsense")
    assert len(guild.sandbox.direct_messages(bob.id)) == 1
