"""Payouts that are sent each time: each becomes a request or adds to the open one, once, whatever ends the process."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from cashback.database.payouts import reversals
from cashback.database.wallets import auto_withdrawals, statement, withdrawals
from cashback.domain.errors import StaleBatchError, WithdrawalRefusedError
from cashback.domain.model import BatchLimits
from cashback.domain.withdrawals import Withdrawal
from cashback.services import CLI, AdminService
from cashback.settings import ReferralSettings, Settings, WithdrawalSettings
from tests.conftest import LedgerFixture, OpenDatabase, raw
from verification.testbed import databases

pytestmark = pytest.mark.anyio

BOB = 10**17
SECRET = "bob@example.org"  # noqa: S105 -- an address
KEY = Fernet.generate_key().decode()


def service_of(
    ledger: LedgerFixture, threshold: int | None = None, *, keys: tuple[str, ...] = (KEY,), **terms: object
) -> AdminService:
    """Return the services with withdrawals switched on."""
    methods = {"paypal": "your address", "gift-card": None}
    settings = Settings(
        withdrawals=WithdrawalSettings.model_validate(
            {"enabled": True, "methods": methods, "minimum_cents": 100, **terms}
        ),
        referral_settings=ReferralSettings(approval_threshold_cents=threshold),
        withdrawal_keys=tuple(map(SecretStr, keys)),
    )
    return AdminService(ledger.database, settings, lambda _: 0)


async def paid_out(ledger: LedgerFixture, cents: int) -> int:
    """Pay the member so much; return the batch's number."""
    await ledger.earn(BOB, cents)
    return (await ledger.pay(target_user_id=BOB)).batch_number


async def open_request(ledger: LedgerFixture) -> Withdrawal | None:
    """Return the member's open request."""
    return await ledger.database.read(withdrawals.open_of, BOB)


async def test_payout_becomes_a_request_and_the_next_adds_to_it(ledger: LedgerFixture) -> None:
    service = service_of(ledger)
    await paid_out(ledger, 700)
    await service.send_each_time(BOB, "PayPal", SECRET)
    assert await service.send_new_payouts() == [], "what was paid before stays in the wallet"
    await paid_out(ledger, 300)
    [sent] = await service.send_new_payouts()
    assert (sent.number, sent.amount_cents, sent.method, ledger.balance(BOB)) == (1, 300, "paypal", 700)
    assert service.destination_of(sent) == SECRET
    await paid_out(ledger, 50)
    [raised] = await service.send_new_payouts()
    assert (raised.number, raised.amount_cents, ledger.balance(BOB)) == (1, 350, 700)
    assert await service.send_new_payouts() == []
    with pytest.raises(StaleBatchError, match="not as it was shown"):
        await service.pay_withdrawal(CLI, 1, reference="T-1", version=sent.version)
    await service.decline_withdrawal(CLI, 1, reason="no such account", version=raised.version)
    assert ledger.balance(BOB) == 1_050
    assert await service.send_new_payouts() == [], "what came back is not sent again"


async def test_payout_waits_for_the_minimum_and_for_a_request_that_an_admin_has_begun_with(
    ledger: LedgerFixture,
) -> None:
    service = service_of(ledger, threshold=400)
    await service.send_each_time(BOB, "gift-card")
    await paid_out(ledger, 60)
    assert await service.send_new_payouts() == []
    await paid_out(ledger, 60)
    assert [each.amount_cents for each in await service.send_new_payouts()] == [120]
    await service.withdrawals_to_transfer(CLI)
    await paid_out(ledger, 500)
    assert await service.send_new_payouts() == [], "a list with the old amount is at the bank"
    with pytest.raises(WithdrawalRefusedError, match="is being transferred already"):
        await service.cancel_withdrawal(BOB, 1)
    await service.pay_withdrawal(CLI, 1, reference="T-1")
    [sent] = await service.send_new_payouts()
    assert (sent.number, sent.amount_cents, sent.needs_first_approval) == (2, 500, True)


async def test_request_that_is_raised_to_the_threshold_needs_two_admins(ledger: LedgerFixture) -> None:
    service = service_of(ledger, threshold=400)
    await service.send_each_time(BOB, "gift-card")
    await paid_out(ledger, 300)
    [sent] = await service.send_new_payouts()
    assert not sent.needs_first_approval
    await paid_out(ledger, 100)
    [raised] = await service.send_new_payouts()
    assert raised.needs_first_approval


@pytest.mark.parametrize(("method", "to"), [("gift-card", None), ("paypal", "eve@example.org")])
async def test_request_that_goes_elsewhere_is_not_added_to(ledger: LedgerFixture, method: str, to: str | None) -> None:
    service = service_of(ledger)
    await paid_out(ledger, 500)
    await service.request_withdrawal(BOB, 200, method, to)
    await service.send_each_time(BOB, "paypal", SECRET)
    await paid_out(ledger, 300)
    assert await service.send_new_payouts() == []
    await service.cancel_withdrawal(BOB, 1)
    [sent] = await service.send_new_payouts()
    assert (sent.number, sent.amount_cents) == (2, 300)


@pytest.mark.parametrize("keys", [(), (Fernet.generate_key().decode(),)], ids=["missing", "another"])
async def test_payout_is_not_added_to_a_request_whose_destination_cannot_be_read(
    ledger: LedgerFixture, keys: tuple[str, ...]
) -> None:
    """It may go elsewhere. With another key, two destinations that cannot be read looked the same."""
    service = service_of(ledger)
    await paid_out(ledger, 500)
    await service.request_withdrawal(BOB, 200, "paypal", "eve@example.org")
    await service.send_each_time(BOB, "paypal", SECRET)
    await paid_out(ledger, 300)
    without_key = service_of(ledger, keys=keys)
    assert await without_key.send_new_payouts() == []
    await without_key.decline_withdrawal(CLI, 1, reason="no such account")
    [sent] = await without_key.send_new_payouts()
    assert (sent.number, sent.amount_cents) == (2, 300)
    assert service.destination_of(sent) == SECRET, "the member's destination was encrypted before"


async def test_payout_is_added_after_the_key_was_rotated(ledger: LedgerFixture) -> None:
    service = service_of(ledger)
    await paid_out(ledger, 500)
    await service.request_withdrawal(BOB, 200, "paypal", SECRET)
    await service.send_each_time(BOB, "paypal", SECRET)
    await paid_out(ledger, 300)
    rotated = service_of(ledger, keys=(Fernet.generate_key().decode(), KEY))
    [raised] = await rotated.send_new_payouts()
    assert (raised.number, raised.amount_cents, rotated.destination_of(raised)) == (1, 500, SECRET)


async def test_own_request_the_same_way_is_added_to_up_to_the_maximum(ledger: LedgerFixture) -> None:
    service = service_of(ledger, maximum_cents=600)
    await paid_out(ledger, 500)
    await service.request_withdrawal(BOB, 500, "paypal", SECRET)
    await service.send_each_time(BOB, "paypal", SECRET)
    await paid_out(ledger, 300)
    [raised] = await service.send_new_payouts()
    assert (raised.number, raised.amount_cents, ledger.balance(BOB)) == (1, 600, 200)


async def test_reversed_or_spent_cents_are_not_sent(ledger: LedgerFixture) -> None:
    service = service_of(ledger)
    await service.send_each_time(BOB, "gift-card")
    batch = await paid_out(ledger, 300)
    await paid_out(ledger, 400)
    proposed = await ledger.database.write(
        reversals.propose,
        batch_number=batch,
        referrer_id=BOB,
        reason="a mistake",
        actor="cli",
        now=ledger.clock(),
        expires_at=ledger.clock().replace(year=2030),
        terms=BatchLimits(),
    )
    await ledger.database.write(reversals.approve, proposed.number, actor="cli", now=ledger.clock())
    await service.adjust_wallet(CLI, BOB, 250, reason="a gift")
    [sent] = await service.send_new_payouts()
    assert (sent.amount_cents, ledger.balance(BOB)) == (400, 250)


async def test_switched_off_leaves_payouts_and_forgets_the_destination(ledger: LedgerFixture) -> None:
    service = service_of(ledger)
    with pytest.raises(WithdrawalRefusedError, match="are not sent each time"):
        await service.stop_sending(BOB)
    await service.send_each_time(BOB, "paypal", SECRET)
    await service.stop_sending(BOB)
    await paid_out(ledger, 300)
    assert await service.send_new_payouts() == []
    assert ledger.rows("SELECT * FROM cashback_auto_withdrawals") == []
    assert SECRET not in str(ledger.rows("SELECT * FROM cashback_audit_log"))


@pytest.mark.parametrize(
    ("method", "to", "expected"),
    [("bank", None, "not a method"), ("paypal", None, "needs a destination"), ("gift-card", SECRET, "no destination")],
)
async def test_wish_outside_the_terms_is_refused(
    ledger: LedgerFixture, method: str, to: str | None, expected: str
) -> None:
    with pytest.raises(WithdrawalRefusedError, match=expected):
        await service_of(ledger).send_each_time(BOB, method, to)
    assert (await ledger.database.read(statement.wallet_of, BOB, limit=1)).auto_withdrawal is None


@pytest.mark.parametrize("moment", ["before commit", "after commit"])
@pytest.mark.parametrize("adds", [False, True])
async def test_payout_is_sent_once_though_the_process_ends_at_the_commit(
    ledger: LedgerFixture, open_database: OpenDatabase, moment: str, adds: bool
) -> None:
    service = service_of(ledger)
    await service.send_each_time(BOB, "gift-card")
    await paid_out(ledger, 300)
    if adds:
        await service.send_new_payouts()
        await paid_out(ledger, 200)

    def failpoint(at: str) -> None:
        if at == moment:
            raise ArithmeticError

    async with open_database(failpoint=failpoint) as database:
        with pytest.raises(ArithmeticError):
            await service_of(LedgerFixture(database, ledger.clock)).send_new_payouts()
    await service_of(ledger).send_new_payouts()
    waiting = await open_request(ledger)
    assert waiting is not None
    assert (waiting.amount_cents, ledger.balance(BOB)) == (500 if adds else 300, 0)


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE cashback_withdrawals SET amount_cents = 600",
        "UPDATE cashback_withdrawal_additions SET amount_cents = 1",
        "DELETE FROM cashback_withdrawal_additions",
        "UPDATE cashback_withdrawal_additions SET added_at = '2020-01-01 00:00:00.000000'",
    ],
)
async def test_verify_finds_a_changed_addition(ledger: LedgerFixture, edit: str) -> None:
    service = service_of(ledger)
    await service.send_each_time(BOB, "gift-card")
    for cents in (300, 200):
        await paid_out(ledger, cents)
        await service.send_new_payouts()
    assert (await ledger.verify()).balanced
    ledger.honest = False
    with raw(ledger.location) as connection:
        for name in ("withdrawals_fixed", "withdrawal_additions_fixed", "withdrawal_additions_kept"):
            table = "cashback_withdrawals" if name == "withdrawals_fixed" else "cashback_withdrawal_additions"
            on = "" if not hasattr(ledger.location, "host") else f" ON {table}"
            connection.execute(f"DROP TRIGGER cashback_{name}{on}")
        connection.execute(edit)
    assert any("withdrawal" in line or "addition" in line for line in (await ledger.verify()).breaches)


async def test_two_processes_send_a_payout_once(ledger: LedgerFixture) -> None:
    service = service_of(ledger)
    await service.send_each_time(BOB, "gift-card")
    await paid_out(ledger, 300)
    for each in (service_of(ledger), service_of(ledger)):
        await each.send_new_payouts()
    assert ledger.rows("SELECT amount_cents FROM cashback_withdrawals") == [(300,)]
    assert await ledger.database.read(auto_withdrawals.due) == []


async def test_payouts_of_a_blacklisted_member_wait_until_an_admin_ends_it(ledger: LedgerFixture) -> None:
    service = service_of(ledger)
    await service.send_each_time(BOB, "gift-card")
    await paid_out(ledger, 300)
    await ledger.database.blacklist_referral_user(BOB)
    assert await service.send_new_payouts() == []
    assert ledger.balance(BOB) == 300
    await service.unblacklist(CLI, BOB)
    assert [each.amount_cents for each in await service.send_new_payouts()] == [300]


async def test_wallet_that_cannot_be_written_holds_up_no_other_members_payouts(
    ledger: LedgerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    service, broken = service_of(ledger), BOB - 1
    for member in (broken, BOB):
        await service.send_each_time(member, "gift-card")
        await ledger.earn(member, 300)
    await ledger.pay()
    with databases.connect(ledger.location) as connection:
        databases.break_wallet(connection, broken)
    [sent] = await service.send_new_payouts()
    assert (sent.user_id, sent.amount_cents) == (BOB, 300)
    assert await service.send_new_payouts() == []
    assert [record.getMessage() for record in caplog.records if "not sent on" in record.getMessage()] == [
        f"the payouts of member {broken} are not sent on: The ledger refused a row: this wallet is broken."
    ]
    with databases.connect(ledger.location) as connection:
        databases.mend_wallet(connection)
    [mended] = await service.send_new_payouts()
    assert (mended.user_id, mended.amount_cents) == (broken, 300)
