"""A batch's payouts in pages: largest first, each once, forwards and backwards, in every state."""

from __future__ import annotations

import random
from typing import Any

import pytest

from cashback.database.queries import payout_pages
from cashback.domain.model import PayoutStatus
from tests.conftest import LedgerFixture, raw

pytestmark = pytest.mark.anyio

FAILS = (
    "CREATE TRIGGER refuse BEFORE INSERT ON wallet_transactions WHEN NEW.user_discord_id % 5 = 0"
    " BEGIN SELECT RAISE(ABORT, 'no'); END"
)


async def pages(ledger: LedgerFixture, limit: int, status: PayoutStatus | None = None) -> list[list[dict[str, Any]]]:
    """Read batch 1 from its first page to its last."""
    found, after = [], 0
    while True:
        page = await ledger.database.read(
            payout_pages.payouts_page, 1, after_referrer_id=after, limit=limit, status=status
        )
        found.append(page.rows)
        if page.next_after is None:
            return found
        after = page.next_after


async def paid(ledger: LedgerFixture, count: int) -> list[tuple[int, int]]:
    """Pay a batch with many equal amounts, of which every fifth fails; return the payees, largest first."""
    chance = random.Random(7)
    payees = [(person, chance.choice((100, 250, 900))) for person in range(1, count + 1)]
    await ledger.earn_all(payees)
    with raw(ledger.location) as file:
        file.execute(FAILS)
    await ledger.pay()
    return sorted(payees, key=lambda each: (-each[1], each[0]))


@pytest.mark.parametrize("limit", [1, 7, 50])
async def test_pages_list_each_payout_once_and_the_largest_first(ledger: LedgerFixture, limit: int) -> None:
    expected = await paid(ledger, 50)
    listed = [(row["referrer_id"], row["approved_cents"]) for page in await pages(ledger, limit) for row in page]
    assert listed == expected


@pytest.mark.parametrize("status", list(PayoutStatus))
async def test_pages_of_one_state_list_it_alone(
    ledger: LedgerFixture, monkeypatch: pytest.MonkeyPatch, status: PayoutStatus
) -> None:
    monkeypatch.setattr(payout_pages, "LOOKED_THROUGH", 8)
    monkeypatch.setattr(payout_pages, "SCANNED", 4)
    expected = await paid(ledger, 40)
    listed = [row["referrer_id"] for page in await pages(ledger, 6, status) for row in page]
    of_state = {PayoutStatus.FAILED: True, PayoutStatus.CREDITED: False}
    assert listed == [person for person, _ in expected if (person % 5 == 0) is of_state.get(status)]


async def test_pages_lead_back_the_way_they_came(ledger: LedgerFixture) -> None:
    await paid(ledger, 40)
    forwards = await pages(ledger, 7)
    starts = [0, *(page[-1]["referrer_id"] for page in forwards[:-1])]
    for start, before in zip(starts[1:], starts, strict=False):
        assert await ledger.database.read(payout_pages.page_before, 1, after_referrer_id=start, limit=7) == before


async def test_page_after_a_stranger_is_the_first(ledger: LedgerFixture) -> None:
    expected = await paid(ledger, 9)
    page = await ledger.database.read(payout_pages.payouts_page, 1, after_referrer_id=10**18, limit=2)
    assert [row["referrer_id"] for row in page.rows] == [person for person, _ in expected[:2]]
