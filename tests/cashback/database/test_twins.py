"""Orders that two shops have: the same ids, buyer and amount, or the same buyer, amount and day under another id."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cashback.database.referral_program import intakes, twins
from cashback.database.referral_program.purchases import Purchase, record_purchases
from cashback.database.referral_program.twins import Candidate, Similar, Twin
from cashback.domain.earning import Origin
from tests.conftest import FRIDAY, LedgerFixture

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)


async def bring(ledger: LedgerFixture, source: str, *purchases: Purchase) -> int:
    """Record purchases of a shop; return the number of their import."""

    def take(connection: Any) -> int:  # noqa: ANN401 -- SQLAlchemy's connection
        number = intakes.begin(connection, source=source, kind="import", actor="cli", now=FRIDAY)
        record_purchases(connection, purchases, 5_000, FRIDAY, origin=Origin(source=source, intake_number=number))
        return number

    return await ledger.database.write(take)


async def test_order_of_another_shop_is_found_by_each_of_its_ids_until_it_is_recorded(ledger: LedgerFixture) -> None:
    await bring(ledger, "main", Purchase("#1001", 2, 500), Purchase("1002", 2, 600))
    await bring(ledger, "zoo", Purchase("z", 3, 700))
    assert await ledger.database.read(twins.other_shops, "hats") == ["main", "zoo"]
    assert await ledger.database.read(twins.other_shops, "main") == ["zoo"]
    orders = [
        Candidate(("9001", "1001"), 2, 500),
        Candidate(("1002",), 2, 601),
        Candidate(("1002",), 3, 600),
        Candidate((" #z",), 3, 700),
    ]
    found = await ledger.database.read(twins.new_twins, orders, "hats", ["main", "zoo"])
    assert sorted(found) == [Twin(" #z", "zoo"), Twin("9001", "main")]
    assert not await ledger.database.read(twins.are_said_to_differ, "hats", "main")
    await bring(ledger, "hats", Purchase("1001", 2, 500), Purchase("z", 4, 700))
    assert await ledger.database.read(twins.new_twins, orders, "hats", ["main"]) == []
    assert await ledger.database.read(twins.are_said_to_differ, "hats", "main")
    assert not await ledger.database.read(twins.are_said_to_differ, "hats", "zoo")


async def test_similar_purchases_of_another_shop_are_those_of_the_same_buyer_amount_and_day(
    ledger: LedgerFixture,
) -> None:
    at = FRIDAY.replace(hour=12)
    await bring(ledger, "main", Purchase("a", 2, 500, at), Purchase("b", 2, 500, at), Purchase("free", 2, 0, at))
    others = {"buyer": (3, 500, at), "cents": (2, 501, at), "day": (2, 500, at - 24 * HOUR), "nothing": (2, 0, at)}
    number = await bring(ledger, "hats", *(Purchase(name, *facts) for name, facts in others.items()))
    assert await ledger.database.read(twins.similar_elsewhere, number, "hats") is None
    number = await bring(ledger, "hats", Purchase("x", 2, 500, at + HOUR), Purchase("y", 2, 500, at - HOUR))
    found = await ledger.database.read(twins.similar_elsewhere, number, "hats")
    assert found is not None
    assert found._replace(other_id="") == Similar(2, 1_000, "x", "main", "")
    assert found.other_id in {"a", "b"}
