"""Checking one batch: it finds what is wrong with that one, and looks at nothing else."""

from __future__ import annotations

import pytest

from cashback.database.integrity import reconciliation
from tests.conftest import LedgerFixture, drop_guards, raw

pytestmark = pytest.mark.anyio


@pytest.fixture
async def paid(ledger: LedgerFixture) -> LedgerFixture:
    """Pay two batches: the first to three members, the second to two others."""
    await ledger.earn_all([(101, 100), (102, 200), (103, 300)])
    await ledger.pay()
    await ledger.earn_all([(201, 400), (202, 500)])
    await ledger.pay()
    return ledger


async def verify(ledger: LedgerFixture, number: int) -> reconciliation.Verdict:
    """Check one batch."""
    return await ledger.database.read(reconciliation.verify_batch, number)


async def test_correct_batch_counts_its_payouts(paid: LedgerFixture) -> None:
    verdict = await verify(paid, 2)
    assert verdict.breaches == ()
    assert (verdict.payouts_checked, verdict.credited_cents) == (2, 900)


@pytest.mark.parametrize(
    ("change", "breach"),
    [
        ("UPDATE users SET wallet_balance_cents = 1 WHERE discord_id = 201", "wallet of 201 holds 1 cents"),
        ("DELETE FROM wallet_transactions WHERE user_discord_id = 202", "payout of batch 2 to 202 paid 500 cents"),
        (
            "DELETE FROM cashback_notifications WHERE user_id = 201",
            "payout of batch 2 to 201 has no direct message queued",
        ),
        (
            "UPDATE cashback_payouts SET status = 'skipped', paid_cents = 0 WHERE referrer_id = 201",
            "without a credited payout",
        ),
        ("UPDATE cashback_payout_batches SET credited_cents = 901 WHERE number = 2", "batch 2 stores totals"),
    ],
)
async def test_breach_is_found_in_its_batch_only(paid: LedgerFixture, change: str, breach: str) -> None:
    paid.honest = False
    drop_guards(paid.location)
    with raw(paid.location) as connection:
        connection.execute(change)
    assert any(breach in line for line in (await verify(paid, 2)).breaches)
    assert (await verify(paid, 1)).breaches == ()


async def test_earlier_batch_stays_correct(paid: LedgerFixture) -> None:
    await paid.earn(101, 50)
    await paid.pay()
    assert (await verify(paid, 1)).breaches == ()


@pytest.mark.parametrize(("wrong", "last"), [(100, "payout of batch 1"), (101, "and more of the kind: payout of")])
async def test_breaches_of_one_kind_are_limited_to_a_hundred(ledger: LedgerFixture, wrong: int, last: str) -> None:
    await ledger.earn_all((person, 100) for person in range(1, 111))
    await ledger.pay()
    ledger.honest = False
    with raw(ledger.location) as connection:
        connection.execute("DELETE FROM cashback_notifications WHERE user_id <= ?", (wrong,))
    for verdict in (await ledger.verify(), await verify(ledger, 1)):
        told = [breach for breach in verdict.breaches if "no direct message queued" in breach]
        assert len(told) == wrong
        assert told[-1].startswith(last)
