"""Deliveries in any order, repeated at random: the same cents, which an account by hand gives."""

from __future__ import annotations

import hashlib
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cashback.database import Database
from cashback.database.integrity import reconciliation
from cashback.database.shops import deliveries
from cashback.database.shops.deliveries import Incoming, Received
from cashback.database.shops.events import DeliveryTerms, Reported
from cashback.domain.earning import ANY_TIME
from cashback.domain.shop_events import EventKind, ShopEvent
from tests.examples import examples

NOW = datetime(2026, 7, 3, 15, tzinfo=UTC)
REFERRER, MEMBER = 300000000000000003, 222222222222222222
TERMS = DeliveryTerms(currency="USD", rate_ppm=100_000, holding_days=0, unmatched_days=30, dates=ANY_TIME)

AMOUNTS = st.integers(min_value=1, max_value=5_000)
REFUNDS = st.dictionaries(st.sampled_from(["r1", "r2", "r3"]), AMOUNTS, max_size=3)
DISPUTES = st.dictionaries(st.sampled_from(["d1", "d2"]), st.tuples(st.none() | AMOUNTS, st.booleans()), max_size=1)


@st.composite
def orders(draw: st.DrawFn) -> tuple[list[ShopEvent], int]:
    """Draw the events of an order, and what is left of it by hand."""
    order_id = draw(st.sampled_from(["1", "2", "3"]))
    paid = draw(st.integers(min_value=1, max_value=10_000))
    refunds, in_all = draw(REFUNDS), draw(st.lists(AMOUNTS, max_size=2))
    disputes = draw(DISPUTES)

    def event(kind: EventKind, cents: int | None, refund_id: str | None = None) -> ShopEvent:
        return ShopEvent(
            kind=kind,
            order_id=order_id,
            amount_cents=cents,
            currency="USD",
            refund_id=None if refund_id is None else f"{order_id}-{refund_id}",
            buyer_id=MEMBER,
            at=NOW,
        )

    events = [event(EventKind.PAID, paid)]
    events += [event(EventKind.REFUNDED, cents, refund_id) for refund_id, cents in refunds.items()]
    events += [event(EventKind.REFUNDED_IN_ALL, cents) for cents in in_all]
    lost = min(paid, max([sum(refunds.values()), *in_all]))
    for dispute_id, (cents, is_won) in disputes.items():
        events.append(event(EventKind.DISPUTED, cents, dispute_id))
        if is_won:
            events.append(event(EventKind.DISPUTE_WON, cents, dispute_id))
        else:
            lost += paid if cents is None else cents
    return events, max(0, paid - lost)


@st.composite
def deliveries_in_any_order(draw: st.DrawFn) -> tuple[list[ShopEvent], int]:
    """Draw several orders, shuffled and repeated, and what is left of them by hand."""
    drawn = draw(st.lists(orders(), min_size=1, max_size=3, unique_by=lambda order: order[0][0].order_id))
    events = [event for order, _ in drawn for event in order]
    repeated = events + draw(st.lists(st.sampled_from(events), max_size=6))
    return draw(st.permutations(repeated)), sum(left for _, left in drawn)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=deliveries_in_any_order(), together=st.integers(min_value=1, max_value=8))
def test_any_order_of_deliveries_comes_to_the_same_cents(drawn: tuple[list[ShopEvent], int], together: int) -> None:
    """Whether each has a transaction of its own or several share one does not matter either."""

    async def deliver(path: Path) -> None:
        async with Database(str(path), clock=lambda: NOW) as database:
            await database.create_referral(REFERRER, MEMBER)
            incoming: list[Incoming] = []
            for number, event in enumerate(drawn[0]):
                digest = hashlib.sha256(repr(event).encode()).hexdigest()
                received = Received(
                    shop="store",
                    kind="api",
                    digest=digest,
                    # Some repeats are the same event again, others another event about the same.
                    event_id=str(number) if number % 2 else digest,
                    topic=event.kind,
                    events=(Reported(event=event),),
                )
                later = NOW + timedelta(seconds=number)
                incoming.append(Incoming(received, TERMS, "shop:store", later))
            for first in range(0, len(incoming), together):
                await database.write(deliveries.record_all, incoming[first : first + together])
            stats = await database.get_referral_stats(REFERRER)
            assert (stats["total_spend_cents"], stats["total_earned_cents"]) == (drawn[1], drawn[1] // 10)
            assert (await database.read(reconciliation.verify)).breaches == ()

    with tempfile.TemporaryDirectory() as folder:
        anyio.run(deliver, Path(folder) / "ledger.db")
