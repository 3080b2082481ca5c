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
def open_withdrawals(town: DiscordFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch withdrawals on; members get the news at once."""
    monkeypatch.setattr(withdrawal_notes, "POLL_SECONDS", 0.05)
    configure(town)


def configure(town: DiscordFixture, **terms: object) -> None:
    """Change the terms of withdrawals."""
    methods = {"paypal": "the e-mail address of your account", "gift-card": None}
    town.settings = town.settings.model_copy(
        update={
            "withdrawals": WithdrawalSettings.model_validate({"enabled": True, "methods": methods, **terms}),
            "withdrawal_keys": (SecretStr(Fernet.generate_key().decode()),),
        }
    )


async def earner(town: DiscordFixture, name: str, cents: int) -> Member:
    """Add a member with so much in the wallet."""
    member = await town.referrer(name, cents)
    await town.till.pay()
    return member


async def withdraw(town: DiscordFixture, who: Member, amount: str = "2.00", method: str = "paypal") -> Message:
    """Ask for a withdrawal; return the private answer."""
    to = {"to": SECRET} if method == "paypal" else {}
    return await ask(town, who, "withdraw", amount=amount, method=method, **to)


async def queue(town: DiscordFixture, by: Member | None = None) -> Message:
    """Ask for the queue; return the message of the first request."""
    return await town.ask("!withdrawals", by)


async def fill(town: DiscordFixture, message: Message, label: str, text: str, by: Member | None = None) -> Interaction:
    """Press a button and submit its form."""
    pressed = await town.press(message, label, by)
    await pressed.answered()
    return await town.sandbox.submit(pressed, {"text": text})


async def test_request_is_paid_with_a_reference_and_each_step_is_a_message(town: DiscordFixture) -> None:
    async with town.bot():
        bob = await earner(town, "Bob", 500)
        answer = await withdraw(town, bob)
        assert "$2.00 left your wallet" in answer.text
        await note_to(town, bob, "Withdrawal Requested")
        shown = await ask(town, bob, "wallet")
        assert "$3.00" in shown.text
        assert "$2.00 by paypal" in shown.text
        assert "Cashback of BATCH-" in shown.text
        message = await queue(town)
        assert SECRET not in message.text
        assert SECRET in await refusal(await town.press(message, "Show Destination")), "to this admin alone"
        await fill(town, message, "Paid", "TX-1")
        done = await town.shows(message, "Withdrawal Paid", "TX-1")
        assert not done.buttons
        await note_to(town, bob, "Withdrawal Paid", "TX-1")
        assert "0 open withdrawals" in (await town.answer("!withdrawals")).text
    assert town.till.balance(bob.id) == 300
    assert town.audit_actions()[-2:] == ["withdrawal_requested", "withdrawal_paid"]
    assert SECRET not in str(town.till.rows("SELECT * FROM cashback_audit_log"))


async def test_outage_of_direct_messages_keeps_no_step_from_the_member(
    town: DiscordFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "FIRST_RETRY_SECONDS", 0.05)
    service = AdminService(town.till.database, town.settings, lambda _: 0)
    async with town.bot():
        bob = await earner(town, "Bob", 500)
        town.sandbox.faults.fail("POST", "/channels/[0-9]+/messages$", status=503, times=4)
        asked = await service.request_withdrawal(bob.id, 200, "gift-card", None)
        await note_to(town, bob, "Withdrawal Requested")
        town.sandbox.faults.fail("POST", "/channels/[0-9]+/messages$", status=503, times=4)
        await service.decline_withdrawal(CLI, asked.number, reason="no such account")
        await note_to(town, bob, "$2.00 is back in your wallet")
        await until(lambda: not town.till.rows("SELECT 1 FROM cashback_withdrawals WHERE told_status <> status"))
    notes = [
        each for each in town.sandbox.direct_messages(bob.id) if "gift-card" in each.text or "back in" in each.text
    ]
    assert len(notes) == 2


async def test_notes_that_discord_slows_down_hold_up_no_automatic_withdrawal(
    town: DiscordFixture, caplog: pytest.LogCaptureFixture
) -> None:
    service = AdminService(town.till.database, town.settings, lambda _: 0)
    bob, eve, zoe = [await earner(town, name, 500) for name in ("Bob", "Eve", "Zoe")]
    async with town.bot():
        await until(lambda: all(town.sandbox.direct_messages(each.id) for each in (bob, eve, zoe)))
        await service.send_each_time(bob.id, "gift-card")
        town.sandbox.faults.fail("POST", "/channels/[0-9]+/messages$", status=400, code=TOO_FAST, times=100)
        for each in (eve, zoe):
            await service.request_withdrawal(each.id, 200, "gift-card", None)
        await until(lambda: "was not delivered" in caplog.text)
        await town.till.earn(bob.id, 400)
        await town.till.pay(target_user_id=bob.id)
        await until(lambda: town.till.rows("SELECT 1 FROM cashback_withdrawals WHERE user_id = ?", bob.id))


async def test_declined_request_returns_to_the_wallet_with_the_reason(town: DiscordFixture) -> None:
    async with town.bot():
        bob = await earner(town, "Bob", 500)
        await withdraw(town, bob)
        message = await queue(town)
        await fill(town, message, "Decline", "no *such* account")
        await town.shows(message, "Withdrawal Declined", r"no \*such\* account")
        await note_to(town, bob, "$2.00 is back in your wallet", r"no \*such\* account")
    assert town.till.balance(bob.id) == 500


async def test_decision_under_a_message_that_cannot_be_edited_is_shown_to_the_admin(
    town: DiscordFixture, caplog: pytest.LogCaptureFixture
) -> None:
    """Its thread may be archived meanwhile. "Something went wrong" would let the admin transfer it again."""
    async with town.bot():
        bob = await earner(town, "Bob", 500)
        await withdraw(town, bob)
        message = await queue(town)
        town.sandbox.faults.fail("PATCH", f"/channels/[0-9]+/messages/{message.id}", status=400, code=50083)
        assert "Withdrawal Paid" in await refusal(await fill(town, message, "Paid", "TX-1"))
    assert town.audit_actions()[-1] == "withdrawal_paid"
    assert not [each for each in caplog.records if each.exc_info]


async def test_member_cancels_the_own_request_and_nobody_else_does(town: DiscordFixture) -> None:
    async with town.bot():
        bob, eve = await earner(town, "Bob", 500), await earner(town, "Eve", 500)
        answer = await withdraw(town, bob)
        pressed = await town.sandbox.click(answer.id, button(answer, "Cancel Withdrawal"), bob.id)
        await pressed.answered()
        await note_to(town, bob, "Withdrawal Cancelled")
        assert town.till.balance(bob.id) == 500
        await withdraw(town, bob)
        message = await queue(town)
        refused = await (await town.press(message, "Paid", by=eve)).replied()
        assert refused is not None
        assert (refused.ephemeral_to, "Only an admin" in refused.text) == (eve.id, True)
        assert "Only an admin" in await refusal(await town.press(message, "Show Destination", by=eve))
        answer = await town.answer("!withdrawals", eve)
        assert "Only an admin" in answer.text
    assert town.till.balance(bob.id) == 300


async def test_every_refusal_of_a_request_takes_nothing(town: DiscordFixture) -> None:
    configure(town, minimum_cents=150, maximum_cents=400)
    async with town.bot():
        bob = await earner(town, "Bob", 500)
        for options, expected in (
            ({"amount": "1.49", "method": "paypal", "to": SECRET}, "below the minimum of $1.50"),
            ({"amount": "4.01", "method": "paypal", "to": SECRET}, "above the maximum of $4.00"),
            ({"amount": "two", "method": "paypal", "to": SECRET}, "not an amount in dollars"),
            ({"amount": "-2", "method": "paypal", "to": SECRET}, "not an amount in dollars"),
            ({"amount": "2", "method": "bank", "to": SECRET}, "not a method"),
            ({"amount": "2", "method": "PayPal"}, "needs a destination: the e-mail address"),
            ({"amount": "2", "method": "gift-card", "to": SECRET}, "needs no destination"),
        ):
            assert expected in (await ask(town, bob, "withdraw", **options)).text
        assert (await ask(town, bob, "withdraw", amount="3", method="gift-card")).buttons
        assert "still open" in (await withdraw(town, bob)).text
        eve = town.sandbox.add_member("Eve")
        assert "The wallet holds $0.00" in (await withdraw(town, eve)).text
    assert town.till.balance(bob.id) == 200


async def test_withdrawals_are_off_unless_switched_on(town: DiscordFixture) -> None:
    configure(town, enabled=False)
    async with town.bot():
        bob = await earner(town, "Bob", 500)
        assert "switched off" in (await withdraw(town, bob)).text
        assert "/withdraw" not in (await ask(town, bob, "wallet")).text


async def test_two_admins_at_once_make_one_decision(town: DiscordFixture) -> None:
    zoe = town.sandbox.add_member("Zoe", role_ids=[town.admin_role.id])
    async with town.bot():
        bob = await earner(town, "Bob", 500)
        await withdraw(town, bob)
        one, other = await queue(town), await queue(town, zoe)
        first, second = await town.press(one, "Paid"), await town.press(other, "Decline", by=zoe)
        await first.answered()
        await second.answered()
        await town.sandbox.submit(first, {"text": "TX-1"})
        await town.shows(one, "Withdrawal Paid")
        late = await town.sandbox.submit(second, {"text": "no"})
        assert "is paid already" in await refusal(late)
    assert town.till.balance(bob.id) == 300


async def test_admin_does_not_pay_the_own_request(town: DiscordFixture) -> None:
    async with town.bot():
        await town.till.earn(town.admin.id, 500)
        await town.till.pay()
        await withdraw(town, town.admin)
        message = await queue(town)
        assert "your own" in await refusal(await fill(town, message, "Paid", "TX-1"))
    assert town.audit_actions()[-1] == "refused"
    assert town.till.balance(town.admin.id) == 300


async def test_request_from_the_threshold_on_needs_two_admins(town: DiscordFixture) -> None:
    town.adjust(approval_threshold_cents=200)
    zoe = town.sandbox.add_member("Zoe", role_ids=[town.admin_role.id])
    async with town.bot():
        bob = await town.referrer("Bob", 500)
        await town.till.pay()
        await withdraw(town, bob)
        message = await queue(town)
        await town.press(message, "Approve")
        waits = await town.shows(message, f"approved by <@{town.admin.id}>")
        assert "A different admin" in await refusal(await fill(town, waits, "Paid", "TX-1"))
        await fill(town, waits, "Paid", "TX-1", zoe)
        await town.shows(message, "Withdrawal Paid")
    assert town.till.balance(bob.id) == 300


async def test_buttons_work_after_a_restart_and_members_hear_of_decisions_elsewhere(town: DiscordFixture) -> None:
    async with town.bot():
        bob = await earner(town, "Bob", 500)
        await withdraw(town, bob)
        message = await queue(town)
    service = AdminService(town.till.database, town.settings, lambda _: 0)
    async with town.bot():
        await fill(town, message, "Decline", "once more")
        await town.shows(message, "Withdrawal Declined")
        await withdraw(town, bob, method="gift-card")
        await service.pay_withdrawal(CLI, 2, reference="CODE-1")
        await note_to(town, bob, "Withdrawal Paid", "CODE-1")
    await until(lambda: not town.till.rows("SELECT 1 FROM cashback_withdrawals WHERE told_status <> status"))


async def test_queue_shows_the_oldest_five(town: DiscordFixture) -> None:
    async with town.bot():
        for n in range(6):
            await withdraw(town, await earner(town, f"M{n}", 500), method="gift-card")
        said = await town.say("!withdrawals")
        first = await town.sandbox.wait_for(saying("6 open withdrawals, $12.00.", "oldest 5"), after=said)
        await town.sandbox.wait_for(saying("Requested · 5"), after=first)


async def test_destination_is_in_no_log_line_row_export_or_event(
    town: DiscordFixture, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.DEBUG, logger="cashback")
    till = town.till
    await till.database.write(events.put_in_force, {"shop": list(Event)}, now=till.clock())
    async with town.bot():
        bob = await earner(town, "Bob", 500)
        await ask(town, bob, "autowithdraw", method="paypal", to=SECRET)
        for label, text in (("Paid", "TX-1"), ("Decline", "no such account")):
            await withdraw(town, bob)
            await fill(town, await queue(town), label, text)
            await until(lambda: not till.rows("SELECT 1 FROM cashback_withdrawals WHERE status = 'requested'"))
        await ask(town, bob, "withdraw", amount="900", method="paypal", to=SECRET)
    assert SECRET not in caplog.text
    tables = [name for (name,) in till.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
    assert [name for name in tables if SECRET in str(till.rows(f"SELECT * FROM {name}"))] == []
    assert SECRET not in str(await till.database.read(events.newest, limit=100))
