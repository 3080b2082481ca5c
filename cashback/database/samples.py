"""Sample ledgers with invented members, marked by their orders: nobody is paid from one on the real Discord."""

from typing import Final

from sqlalchemy import Connection, exists, select

from cashback.database.tables import referral_purchases
from cashback.domain.earning import MAIN

ORDER_PREFIX: Final = "SEED-"


def order_id_of(place: int) -> str:
    """Return the id of a sample's order, by its place from 1 on."""
    return f"{ORDER_PREFIX}{place:07}"


def is_sample(connection: Connection) -> bool:
    """Return whether a ledger is a sample: whether it has a sample's first order."""
    order = referral_purchases.c
    return bool(connection.scalar(select(exists().where(order.source == MAIN, order.order_id == order_id_of(1)))))
