"""One order, two ids: a shop's file and its deliveries may name it differently, and it counts once."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cashback.database.referral_program.purchases import Purchase
from cashback.database.referral_program.refund_facts import delivered_among
from cashback.database.referral_program.refunds import Refund
from cashback.database.referral_program.unmatched import recorded_among
from cashback.domain.earning import order_key
from cashback.shops.chunks import Chunk


def with_one_id(connection: Any, chunk: Chunk[Purchase], source: str, *, delivers: bool) -> Chunk[Purchase]:  # noqa: ANN401 -- the database package's connection
    """Return a chunk in which each order has the id under which the ledger knows it.

    A new order of a shop that delivers gets the id of its deliveries, so that later refunds find it.
    """
    if not chunk.delivered_ids:
        return chunk
    known = recorded_among(connection, [*chunk.delivered_ids, *chunk.delivered_ids.values()], source)
    named = {
        order_id: delivered_id
        for order_id, delivered_id in chunk.delivered_ids.items()
        if order_key(delivered_id) in known or (delivers and order_key(order_id) not in known)
    }
    if not named:
        return chunk
    return replace(
        chunk,
        rows=[row._replace(order_id=named.get(row.order_id, row.order_id)) for row in chunk.rows],
        guests=[
            (line, guest._replace(order_id=named[guest.order_id], number=guest.order_id))
            if guest.order_id in named
            else (line, guest)
            for line, guest in chunk.guests
        ],
        refunds=[_renamed(refund, named) for refund in chunk.refunds],
        refund_rows=[(line, _renamed(refund, named)) for line, refund in chunk.refund_rows],
    )


def _renamed(refund: Refund, named: Mapping[str, str]) -> Refund:
    return replace(refund, order_id=named.get(refund.order_id, refund.order_id))


def delivered_refunds(connection: Any, chunk: Chunk[Purchase], source: str) -> set[str]:  # noqa: ANN401 -- as above
    """Return the orders of a chunk's refund rows whose refunds were delivered: there they have other ids.

    A delivery names all refunds of its order, and sums count once by themselves.
    """
    order_ids = [refund.order_id for _, refund in chunk.refund_rows]
    return delivered_among(connection, order_ids, source) if order_ids else set()
