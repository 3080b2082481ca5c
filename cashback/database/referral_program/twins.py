"""Orders that another shop has as well: one order under two shops would count twice."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, and_, exists, func, select

from cashback.database.referral_program.purchases import known_orders
from cashback.database.referral_program.unmatched import recorded_among
from cashback.database.tables import referral_purchases
from cashback.domain.earning import order_key


class Candidate(NamedTuple):
    """An order that is about to be recorded, with all its ids: a file may name it otherwise than a delivery."""

    order_ids: tuple[str, ...]
    buyer_id: int
    amount_cents: int


class Twin(NamedTuple):
    """An order, and the other shop that has it with the same buyer and amount."""

    order_id: str
    shop: str


def other_shops(connection: Connection, source: str) -> list[str]:
    """Return the other sources with purchases."""
    names, column = list[str](), referral_purchases.c.source
    following = connection.scalar(select(func.min(column)))
    while following is not None:
        names.append(following)
        following = connection.scalar(select(func.min(column)).where(column > following))
    return [name for name in names if name != source]


def new_twins(connection: Connection, orders: Sequence[Candidate], source: str, shops: Iterable[str]) -> list[Twin]:
    """Return the orders that a source does not have yet, and one of the other shops has."""
    found = {order: shop for shop in shops for order in those_in(connection, orders, shop)}
    recorded = recorded_among(connection, [each for order in found for each in order.order_ids], source)
    return [
        Twin(order.order_ids[0], shop)
        for order, shop in found.items()
        if recorded.isdisjoint(map(order_key, order.order_ids))
    ]


def those_in(connection: Connection, orders: Sequence[Candidate], shop: str) -> list[Candidate]:
    """Return the orders that a shop has with the same buyer and amount."""
    known = known_orders(connection, [order_key(each) for order in orders for each in order.order_ids], shop)
    facts = {key: (buyer_id, cents) for key, (buyer_id, cents, _) in known.items()}
    return [
        order
        for order in orders
        if (order.buyer_id, order.amount_cents) in {facts.get(order_key(each)) for each in order.order_ids}
    ]


def are_said_to_differ(connection: Connection, source: str, shop: str) -> bool:
    """Return whether an admin said that the orders of two shops with the same id differ: both have one then."""
    here, there = referral_purchases.alias("here"), referral_purchases.alias("there")
    same = and_(
        there.c.order_id == here.c.order_id,
        there.c.buyer_id == here.c.buyer_id,
        there.c.amount_cents == here.c.amount_cents,
    )
    return bool(connection.scalar(select(exists().where(here.c.source == source, there.c.source == shop, same))))


class Similar(NamedTuple):
    """Purchases of an import that may be those of another shop under other ids, with one of them as an example."""

    rows: int
    cents: int
    order_id: str
    shop: str
    other_id: str


def similar_elsewhere(connection: Connection, intake_number: int, source: str) -> Similar | None:
    """Find an import's purchases of which another shop has one of the same buyer, amount and day; None without any."""
    if not other_shops(connection, source):
        return None
    here, there = referral_purchases.alias("here"), referral_purchases.alias("there")
    same = and_(
        there.c.source != source,
        there.c.order_id != here.c.order_id,
        there.c.buyer_id == here.c.buyer_id,
        there.c.amount_cents == here.c.amount_cents,
        func.date(there.c.purchased_at) == func.date(here.c.purchased_at),
    )
    of_it = (here.c.source == source, here.c.intake_number == intake_number, here.c.amount_cents > 0)
    # A join, because SQLite makes an index for it, and for a subquery of each row none.
    found = (
        select(here.c.order_id, here.c.amount_cents).distinct().join_from(here, there, same).where(*of_it).subquery()
    )
    count, cents, first = connection.execute(
        select(func.count(), func.coalesce(func.sum(found.c.amount_cents), 0), func.min(found.c.order_id))
    ).one()
    if not count:
        return None
    example = select(there.c.source, there.c.order_id).join_from(here, there, same)
    shop, other_id = connection.execute(example.where(*of_it, here.c.order_id == first).limit(1)).one()
    return Similar(int(count), int(cents), first, shop, other_id)
