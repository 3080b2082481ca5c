"""The part of the story in which a shop delivers: orders, refunds, a dispute, an order of a guest, a linked e-mail."""

import hashlib
from datetime import datetime
from typing import Final

from cashback.database import Database
from cashback.database.shops import buyers, deliveries
from cashback.database.shops.buyers import ClaimTerms, Sought
from cashback.database.shops.deliveries import Incoming, Received
from cashback.database.shops.events import DeliveryTerms, Reported
from cashback.domain.earning import ANY_TIME
from cashback.domain.shop_events import EventKind, ShopEvent

SHOP: Final = "store"
EMAIL: Final = "e" * 64
TERMS: Final = DeliveryTerms(currency="USD", rate_ppm=1_000_000, holding_days=0, unmatched_days=30, dates=ANY_TIME)


async def deliver(database: Database, buyer: int, now: datetime) -> None:
    """Deliver: 1 paid, 2 a refund, 3 a dispute, 4 the dispute is won, 5 a test, 6 of a guest whose e-mail is linked."""
    told = (
        (EventKind.PAID, "s-1", 300, None, buyer),
        (EventKind.REFUNDED, "s-1", 40, "r-1", None),
        (EventKind.DISPUTED, "s-1", 260, "d-1", None),
        (EventKind.DISPUTE_WON, "s-1", 260, "d-1", None),
        (EventKind.PAID, "s-2", 500, None, buyer),
        (EventKind.PAID, "s-3", 70, None, None),
    )
    for number, (kind, order_id, cents, refund_id, buyer_id) in enumerate(told, start=1):
        event = ShopEvent(
            kind=kind,
            order_id=order_id,
            amount_cents=cents,
            currency="USD",
            refund_id=refund_id,
            buyer_id=buyer_id,
            is_test=order_id == "s-2",
            at=now,
        )
        received = Received(
            shop=SHOP,
            kind="api",
            digest=hashlib.sha256(str(number).encode()).hexdigest(),
            event_id=f"e-{number}",
            topic=kind,
            events=(Reported(event=event, email_hash=EMAIL, hints=(EMAIL,)),),
        )
        await database.write(deliveries.record_all, [Incoming(received, TERMS, f"shop:{SHOP}", now)])
    sought = Sought(number="s-3", sources=(SHOP,), hints=())
    terms = ClaimTerms(holding_days=0, dates=ANY_TIME)
    await database.write(buyers.link_email, buyer, EMAIL, sought, terms, actor=f"discord:{buyer}", now=now)
