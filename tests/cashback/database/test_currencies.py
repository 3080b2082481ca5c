"""The ledger's currency is fixed with the first row, and a configuration may only agree."""

from __future__ import annotations

import pytest

from cashback.database import Database
from cashback.domain.errors import CurrencyError
from tests.conftest import Clock, OpenDatabase

pytestmark = pytest.mark.anyio

EUR, USD, YEN = ("EUR", 2), ("USD", 2), ("JPY", 0)


async def test_currency_is_open_until_the_first_row_and_fixed_from_then_on(
    open_database: OpenDatabase, clock: Clock
) -> None:
    location = open_database().location

    def opened(currency: tuple[str, int] | None) -> Database:
        return Database(location, clock=clock, currency=currency)

    for currency in (EUR, YEN, USD, None):
        async with opened(currency) as database:
            await database.share("another bot")
    async with opened(EUR) as early, opened(USD) as late:
        await early.create_referral(1, 2)
        with pytest.raises(CurrencyError, match="counts in EUR with 2 decimals, but the configuration says USD"):
            await late.create_referral(1, 3)
        assert await early.get_referrals(1)
    for currency in (USD, YEN, ("EUR", 3)):
        with pytest.raises(CurrencyError, match="set currency to EUR"):
            await opened(currency).connect()
    for currency in (EUR, None):
        async with opened(currency) as database:
            assert len(await database.get_referrals(1)) == 1


async def test_other_bots_begin_a_ledger_in_dollars(open_database: OpenDatabase, clock: Clock) -> None:
    location = open_database().location
    async with Database(location, clock=clock) as database:
        assert await database.log_referral_purchase(2, "A", 100) is None
    with pytest.raises(CurrencyError, match="counts in USD with 2 decimals, but the configuration says JPY without"):
        await Database(location, clock=clock, currency=YEN).connect()
