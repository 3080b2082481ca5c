"""Another bot's rows whose sums do not fit 64 bits: verify names what is wrong, and does not fail on them."""

from __future__ import annotations

import pytest

from cashback.database.integrity import reconciliation
from tests.conftest import LedgerFixture, raw

pytestmark = pytest.mark.anyio

HALF = 2**62
LARGEST = 2**63 - 1


@pytest.fixture(autouse=True)
async def shared(ledger: LedgerFixture) -> None:
    """Share the ledger with another bot, which has paid a member."""
    await ledger.database.share("another bot")
    await ledger.earn(5, 250)
    await ledger.pay()
    ledger.honest = False


async def lines(ledger: LedgerFixture, *statements: str) -> tuple[str, ...]:
    """Write another bot's rows; return everything that verify reports."""
    with raw(ledger.location) as connection:
        for statement in statements:
            connection.execute(statement)
    verdict = await ledger.database.read(reconciliation.verify)
    return (*verdict.breaches, *verdict.remarks)


async def test_transactions_that_do_not_fit_are_named(ledger: LedgerFixture) -> None:
    insert = (
        "INSERT INTO wallet_transactions (user_discord_id, amount_cents, balance_after_cents, transaction_type)"
        f" VALUES (5, {HALF}, 0, 'purchase')"
    )
    found = await lines(ledger, *[insert] * 3)
    assert any("wallet of 5 holds 250 cents" in line for line in found), found


async def test_balances_that_do_not_fit_are_named(ledger: LedgerFixture) -> None:
    found = await lines(ledger, f"UPDATE users SET wallet_balance_cents = {LARGEST}")
    assert any(f"wallet of 5 holds {LARGEST} cents" in line for line in found), found


async def test_paid_amounts_that_do_not_fit_are_named(ledger: LedgerFixture) -> None:
    found = await lines(
        ledger,
        "INSERT INTO users (discord_id, wallet_balance_cents) VALUES (77, 0), (78, 0)",
        *(
            "INSERT INTO referrals (referrer_user_id, referred_user_id, cashback_earned_cents, cashback_paid_cents)"
            f" VALUES (5, {member}, {LARGEST}, {LARGEST})"
            for member in (77, 78)
        ),
    )
    assert sum(f"{LARGEST} are marked as paid" in line for line in found) == 2, found


async def test_ledger_works_on_afterwards_with_exact_sums(ledger: LedgerFixture) -> None:
    insert = (
        "INSERT INTO wallet_transactions (user_discord_id, amount_cents, balance_after_cents, transaction_type)"
        f" VALUES (6, {HALF}, 0, 'purchase')"
    )
    with raw(ledger.location) as connection:
        connection.execute("INSERT INTO users (discord_id, wallet_balance_cents) VALUES (6, 0)")
    assert any("wallet of 6" in line for line in await lines(ledger, *[insert] * 3))
    await ledger.earn(8, 125)
    assert (await ledger.pay()).total_cents == 125
    assert any("wallet of 6" in line for line in await lines(ledger))
