"""What a transaction credits: a temporary table of its payees, which its further statements read instead of joins."""

from functools import cache
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Insert,
    MetaData,
    Table,
    and_,
    bindparam,
    delete,
    insert,
    select,
)

from cashback.database.dialect import create_temporary
from cashback.database.payouts import shares
from cashback.database.tables import Key, payouts, users
from cashback.domain.model import PayoutStatus

chunk_credits = Table(
    "cashback_credits",
    # Not the ledger's: it lives as long as a connection, and is empty between transactions.
    MetaData(),
    Column("referrer_id", Key, primary_key=True, autoincrement=False),
    Column("cents", BigInteger, nullable=False),
    Column("referral_count", BigInteger, nullable=False),
    # What the wallet holds before: any value that another bot has left there.
    Column("balance", BigInteger),
    prefixes=["TEMPORARY"],
)

_FIRST: Final = bindparam("first", type_=BigInteger)
_LAST: Final = bindparam("last", type_=BigInteger)

IN_RANGE: Final = chunk_credits.c.referrer_id.between(_FIRST, _LAST)
"""All of them. SQLite takes it as a reason to begin with this table and to search in the other."""


PLANNED: Final = and_(
    payouts.c.batch_number == bindparam("number", type_=BigInteger),
    payouts.c.referrer_id.between(_FIRST, _LAST),
    payouts.c.status == PayoutStatus.PLANNED,
)
"""The payouts of this transaction."""


def note_credits(connection: Connection, values: dict[str, object]) -> None:
    """Note what each planned payout of a chunk pays of all its referrals, if that is anything."""
    create_temporary(connection, chunk_credits)
    connection.execute(delete(chunk_credits))
    connection.execute(_note(), values)


@cache
def _note() -> Insert:
    owed = shares.paid_by_referrer().subquery("owed")
    rows = (
        select(payouts.c.referrer_id, owed.c.cents, payouts.c.referral_count, users.c.wallet_balance_cents)
        .join_from(payouts, owed, owed.c.referrer_id == payouts.c.referrer_id)
        .join(users, users.c.discord_id == payouts.c.referrer_id)
        .where(PLANNED)
        .order_by(payouts.c.referrer_id)
    )
    return insert(chunk_credits).from_select([column.name for column in chunk_credits.c], rows)
