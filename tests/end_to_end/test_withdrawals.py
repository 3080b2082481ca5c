"""The life of a withdrawal on Discord, from the member's request to the transfer, with every refusal."""

from __future__ import annotations

import logging

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from cashback.background import backoff
from cashback.cogs.posts import withdrawal_notes
from cashback.database import events
from cashback.domain.events import Event
from cashback.services import CLI, AdminService
from cashback.settings import WithdrawalSettings
from sandbox import Interaction, Member, Message
from tests.end_to_end.conftest import BOTH_BOTS, DiscordFixture, button, saying, until
from tests.end_to_end.test_members import ask, note_to
from tests.end_to_end.test_second_admin import refusal

pytestmark = pytest.mark.anyio
INSIDE = BOTH_BOTS

TOO_FAST = 40003
SECRET = "bob@example.org"  # noqa: S105 -- an address


@pytest.fixture(autouse=True)
def open_withdrawals(guild: DiscordFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch withdrawals on; members get the news at once."""
    monkeypatch.setattr(withdrawal_notes, "POLL_SECONDS", 0.05)
    configure(guild)


def configure(guild: DiscordFixture, **terms: object) -> None:
    """Change the terms of withdrawals."""
    methods = {"paypal": "the e-mail address of your account", "gift-card": None}
    guild.settings = guild.settings.model_copy(
        update={
            "withdrawals": WithdrawalSettings.model_validate({"enabled": True, "methods": methods, **terms}),
            "withdrawal_keys": (SecretStr(Fernet.generate_key().decode()),),
        }
    )


async def earner(guild: DiscordFixture, name: str, cents: int) -> Member:
    """Add a member with so much in the wallet."""
    member = await guild.referrer(name, cents)
    await guild.ledger.pay()
    return member


async def withdraw(guild: DiscordFixture, who: Member, amount: str = "2.00", method: str = "paypal") -> Message:
    """Ask for a withdrawal; return the private answer."""
    to = {"to": SECRET} if method == "paypal" else {}
    return await ask(guild, who, "withdraw", amount=amount, method=method, **to)


async def queue(guild: DiscordFixture, by: Member | None = None) -> Message:
    """Ask for the queue; return the message of the first request."""
    return await guild.ask("!withdrawals", by)


async def fill(guild: DiscordFixture, message: Message, label: str, text: str, by: Member | None = None) -> Interaction:
    """Press a button and submit its form."""
    pressed = await guild.press(message, label, by)
    await pressed.answered()
    return await guild.sandbox.submit(pressed, {"text": text})


async def test_request_is_paid_with_a_reference_and_each_step_is_a_message(guild: DiscordFixture) -> None:
    async with guild.bot():
        bob = await earner(guild, "Bob", 500)
        answer = await withdraw(guild, bob)
        assert "$2.00 left your wallet" in answer.text
        await note_to(guild, bob, "Withdrawal Requested")
        shown = await ask(guild, bob, "wallet")
        assert "$3.00" in shown.text
        assert "$2.00 by paypal" in shown.text
        assert "Cashback of BATCH-" in shown.text
        message = await queue(guild)
        assert SECRET not in message.text
        assert SECRET in await refusal(await guild.press(message, "Show Destination")), "to this admin alone"
        await fill(guild, message, "Paid", "TX-1")
        done = await guild.shows(message, "Withdrawal Paid", "TX-1")
        assert not done.buttons
        await note_to(guild, bob, "Withdrawal Paid", "TX-1")
        assert "0 open withdrawals" in (await guild.answer("!withdrawals")).text
    assert guild.ledger.balance(bob.id) == 300
    assert guild.audit_actions()[-2:] == ["withdrawal_requested", "withdrawal_paid"]
    assert SECRET not in str(guild.ledger.rows("SELECT * FROM cashback_audit_log"))


async def test_outage_of_direct_messages_keeps_no_step_from_the_member(
    guild: DiscordFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "FIRST_RETRY_SECONDS", 0.05)
    service = AdminService(guild.ledger.database, guild.settings, lambda _: 0)
    async with guild.bot():
        bob = await earner(guild, "Bob", 500)
        guild.sandbox.faults.fail("POST", "/channels/[0-9]+/messages$", status=503, times=4)
        asked = await service.request_withdrawal(bob.id, 200, "gift-card", None)
        await note_to(guild, bob, "Withdrawal Requested")
        guild.sandbox.faults.fail("POST", "/channels/[0-9]+/messages$", status=503, times=4)
        await service.decline_withdrawal(CLI, asked.number, reason="no such account")
        await note_to(guild, bob, "$2.00 is back in your wallet")
        await until(lambda: not guild.ledger.rows("SELECT 1 FROM cashback_withdrawals WHERE told_status <> status"))
    notes = [
        each for each in guild.sandbox.direct_messages(bob.id) if "gift-card" in each.text or "back in" in each.text
    ]
    assert len(notes) == 2


async def test_notes_that_discord_slows_down_hold_up_no_automatic_withdrawal(
    guild: DiscordFixture, caplog: pytest.LogCaptureFixture
) -> None:
    service = AdminService(guild.ledger.database, guild.settings, lambda _: 0)
    bob, eve, zoe = [await earner(guild, name, 500) for name in ("Bob", "Eve", "Zoe")]
    async with guild.bot():
        await until(lambda: all(guild.sandbox.direct_messages(each.id) for each in (bob, eve, zoe)))
        await service.send_each_time(bob.id, "gift-card")
        guild.sandbox.faults.fail("POST", "/channels/[0-9]+/messages$", status=400, code=TOO_FAST, times=100)
        for each in (eve, zoe):
            await service.request_withdrawal(each.id, 200, "gift-card", None)
        await until(lambda: "was not delivered" in caplog.text)
        await guild.ledger.earn(bob.id, 400)
        await guild.ledger.pay(target_user_id=bob.id)
        await until(lambda: guild.ledger.rows("SELECT 1 FROM cashback_withdrawals WHERE user_id = ?", bob.id))


async def test_declined_request_returns_to_the_wallet_with_the_reason(guild: DiscordFixture) -> None:
    async with guild.bot():
        bob = await earner(guild, "Bob", 500)
        await withdraw(guild, bob)
        message = await queue(guild)
        await fill(guild, message, "Decline", "no *such* account")
        await guild.shows(message, "Withdrawal Declined", r"no \*such\* account")
        await note_to(guild, bob, "$2.00 is back in your wallet", r"no \*such\* account")
    assert guild.ledger.balance(bob.id) == 500


async def test_decision_under_a_message_that_cannot_be_edited_is_shown_to_the_admin(
    guild: DiscordFixture, caplog: pytest.LogCaptureFixture
) -> None:
    """Its thread may be archived meanwhile. "Something went wrong" would let the admin transfer it again."""
    async with guild.bot():
        bob = await earner(guild, "Bob", 500)
        await withdraw(guild, bob)
        message = await queue(guild)
        guild.sandbox.faults.fail("PATCH", f"/channels/[0-9]+/messages/{message.id}", status=400, code=50083)
        assert "Withdrawal Paid" in await refusal(await fill(guild, message, "Paid", "TX-1"))
    assert guild.audit_actions()[-1] == "withdrawal_paid"
    assert not [each for each in caplog.records if each.exc_info]


async def test_member_cancels_the_own_request_and_nobody_else_does(guild: DiscordFixture) -> None:
    async with guild.bot():
        bob, eve = await earner(guild, "Bob", 500), await earner(guild, "Eve", 500)
        answer = await withdraw(guild, bob)
        pressed = await guild.sandbox.click(answer.id, button(answer, "Cancel Withdrawal"), bob.id)
        await pressed.answered()
        await note_to(guild, bob, "Withdrawal Cancelled")
        assert guild.ledger.balance(bob.id) == 500
        await withdraw(guild, bob)
        message = await queue(guild)
        refused = await (await guild.press(message, "Paid", by=eve)).replied()
        assert refused is not None
        assert (refused.ephemeral_to, "Only an admin" in refused.text) == (eve.id, True)
        assert "Only an admin" in await refusal(await guild.press(message, "Show Destination", by=eve))
        answer = await guild.answer("!withdrawals", eve)
        assert "Only an admin" in answer.text
    assert guild.ledger.balance(bob.id) == 300


async def test_every_refusal_of_a_request_takes_nothing(guild: DiscordFixture) -> None:
    configure(guild, minimum_cents=150, maximum_cents=400)
    async with guild.bot():
        bob = await earner(guild, "Bob", 500)
        for options, expected in (
            ({"amount": "1.49", "method": "paypal", "to": SECRET}, "below the minimum of $1.50"),
            ({"amount": "4.01", "method": "paypal", "to": SECRET}, "above the maximum of $4.00"),
            ({"amount": "two", "method": "paypal", "to": SECRET}, "not an amount in dollars"),
            ({"amount": "-2", "method": "paypal", "to": SECRET}, "not an amount in dollars"),
            ({"amount": "2", "method": "bank", "to": SECRET}, "not a method"),
            ({"amount": "2", "method": "PayPal"}, "needs a destination: the e-mail address"),
            ({"amount": "2", "method": "gift-card", "to": SECRET}, "needs no destination"),
        ):
            assert expected in (await ask(guild, bob, "withdraw", **options)).text
        assert (await ask(guild, bob, "withdraw", amount="3", method="gift-card")).buttons
        assert "still open" in (await withdraw(guild, bob)).text
        eve = guild.sandbox.add_member("Eve")
        assert "The wallet holds $0.00" in (await withdraw(guild, eve)).text
    assert guild.ledger.balance(bob.id) == 200


async def test_blacklisted_member_withdraws_nothing_until_an_admin_ends_it(guild: DiscordFixture) -> None:
    async with guild.bot():
        bob = await earner(guild, "Bob", 500)
        await guild.ledger.database.blacklist_referral_user(bob.id)
        assert "blacklisted from referral cashback" in (await withdraw(guild, bob)).text
        assert "blacklisted" in (await ask(guild, bob, "autowithdraw", method="gift-card")).text
        assert guild.ledger.balance(bob.id) == 500
        await guild.answer(f"!referral-unblacklist <@{bob.id}>")
        assert "$2.00 left your wallet" in (await withdraw(guild, bob)).text


async def test_withdrawals_are_off_unless_switched_on(guild: DiscordFixture) -> None:
    configure(guild, enabled=False)
    async with guild.bot():
        bob = await earner(guild, "Bob", 500)
        assert "switched off" in (await withdraw(guild, bob)).text
        assert "/withdraw" not in (await ask(guild, bob, "wallet")).text


async def test_two_admins_at_once_make_one_decision(guild: DiscordFixture) -> None:
    zoe = guild.sandbox.add_member("Zoe", role_ids=[guild.admin_role.id])
    async with guild.bot():
        bob = await earner(guild, "Bob", 500)
        await withdraw(guild, bob)
        one, other = await queue(guild), await queue(guild, zoe)
        first, second = await guild.press(one, "Paid"), await guild.press(other, "Decline", by=zoe)
        await first.answered()
        await second.answered()
        await guild.sandbox.submit(first, {"text": "TX-1"})
        await guild.shows(one, "Withdrawal Paid")
        late = await guild.sandbox.submit(second, {"text": "no"})
        assert "is paid already" in await refusal(late)
    assert guild.ledger.balance(bob.id) == 300


async def test_admin_does_not_pay_the_own_request(guild: DiscordFixture) -> None:
    async with guild.bot():
        await guild.ledger.earn(guild.admin.id, 500)
        await guild.ledger.pay()
        await withdraw(guild, guild.admin)
        message = await queue(guild)
        assert "your own" in await refusal(await fill(guild, message, "Paid", "TX-1"))
    assert guild.audit_actions()[-1] == "refused"
    assert guild.ledger.balance(guild.admin.id) == 300


async def test_request_from_the_threshold_on_needs_two_admins(guild: DiscordFixture) -> None:
    guild.adjust(approval_threshold_cents=200)
    zoe = guild.sandbox.add_member("Zoe", role_ids=[guild.admin_role.id])
    async with guild.bot():
        bob = await guild.referrer("Bob", 500)
        await guild.ledger.pay()
        await withdraw(guild, bob)
        message = await queue(guild)
        await guild.press(message, "Approve")
        waits = await guild.shows(message, f"approved by <@{guild.admin.id}>")
        assert "A different admin" in await refusal(await fill(guild, waits, "Paid", "TX-1"))
        await fill(guild, waits, "Paid", "TX-1", zoe)
        await guild.shows(message, "Withdrawal Paid")
    assert guild.ledger.balance(bob.id) == 300


async def test_buttons_work_after_a_restart_and_members_hear_of_decisions_elsewhere(guild: DiscordFixture) -> None:
    async with guild.bot():
        bob = await earner(guild, "Bob", 500)
        await withdraw(guild, bob)
        message = await queue(guild)
    service = AdminService(guild.ledger.database, guild.settings, lambda _: 0)
    async with guild.bot():
        await fill(guild, message, "Decline", "once more")
        await guild.shows(message, "Withdrawal Declined")
        await withdraw(guild, bob, method="gift-card")
        await service.pay_withdrawal(CLI, 2, reference="CODE-1")
        await note_to(guild, bob, "Withdrawal Paid", "CODE-1")
    await until(lambda: not guild.ledger.rows("SELECT 1 FROM cashback_withdrawals WHERE told_status <> status"))


async def test_queue_shows_the_oldest_five(guild: DiscordFixture) -> None:
    async with guild.bot():
        for n in range(6):
            await withdraw(guild, await earner(guild, f"M{n}", 500), method="gift-card")
        said = await guild.say("!withdrawals")
        first = await guild.sandbox.wait_for(saying("6 open withdrawals, $12.00.", "oldest 5"), after=said)
        await guild.sandbox.wait_for(saying("Requested · 5"), after=first)


async def test_destination_is_in_no_log_line_row_export_or_event(
    guild: DiscordFixture, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.DEBUG, logger="cashback")
    ledger = guild.ledger
    await ledger.database.write(events.put_in_force, {"shop": list(Event)}, now=ledger.clock())
    async with guild.bot():
        bob = await earner(guild, "Bob", 500)
        await ask(guild, bob, "autowithdraw", method="paypal", to=SECRET)
        for label, text in (("Paid", "TX-1"), ("Decline", "no such account")):
            await withdraw(guild, bob)
            await fill(guild, await queue(guild), label, text)
            await until(lambda: not ledger.rows("SELECT 1 FROM cashback_withdrawals WHERE status = 'requested'"))
        await ask(guild, bob, "withdraw", amount="900", method="paypal", to=SECRET)
    assert SECRET not in caplog.text
    tables = [name for (name,) in ledger.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
    assert [name for name in tables if SECRET in str(ledger.rows(f"SELECT * FROM {name}"))] == []
    assert SECRET not in str(await ledger.database.read(events.newest, limit=100))
