"""What an import leaves open and only the ledger shows: dates of referrals, and orders that another shop has too."""

from collections.abc import Iterable
from typing import Any

from cashback.database.referral_program.purchases import Purchase
from cashback.database.referral_program.referrals import referrers_of
from cashback.database.referral_program.twins import Candidate, Twin, are_said_to_differ, new_twins, other_shops
from cashback.database.referral_program.waiting import buyer_waiting, is_anything_waiting
from cashback.domain.earning import MAIN
from cashback.shops.answers import ALWAYS, Answers, UnansweredError
from cashback.shops.chunks import Chunk, PurchaseFile, ReferralFile


def ask_for_dates(
    connection: Any,  # noqa: ANN401 -- SQLAlchemy's connection has its type in cashback/database/ alone
    referrals: ReferralFile | None,
    purchases: PurchaseFile | None,
    answers: Answers,
    chunk_rows: int,
) -> None:
    """Raise UnansweredError if new referrals have no date and their members may have bought before."""
    has_dates = purchases is not None and purchases.has_dates
    if referrals is None or answers.referred_at is not None or not (has_dates or is_anything_waiting(connection)):
        return
    for chunk in referrals.chunks(chunk_rows):
        undated = [referred_id for _, referred_id, moment in chunk.rows if moment is None]
        known = referrers_of(connection, undated)
        new = [referred_id for referred_id in undated if referred_id not in known]
        member = next(iter(new), None) if has_dates else buyer_waiting(connection, new)
        if member is not None:
            raise UnansweredError(
                f"The referrals have no dates, and members such as {member} may have bought before: say"
                " --referred-at DAY (such as 2026-01-31), or --referred-at always if all of their purchases earn.",
                option="referred_at",
                question=f"The referrals have no dates, and members such as {member} may have bought before. Do all of"
                " their purchases earn (always)? Otherwise stop, and say --referred-at DAY.",
                choices=(ALWAYS,),
            )


def ask_for_twins(connection: Any, chunks: Iterable[Chunk[Purchase]], source: str) -> None:  # noqa: ANN401 -- as above
    """Raise UnansweredError if another shop has new orders of the file, with the same buyer and amount.

    An admin is asked once for two shops: whether they have an order in common is the answer from then on.
    """
    shops = other_shops(connection, source)
    if not shops:
        return
    for chunk in chunks:
        ids = chunk.delivered_ids
        orders = [
            Candidate((row.order_id, *filter(None, [ids.get(row.order_id)])), row.buyer_id, row.amount_cents)
            for row in chunk.rows
        ]
        for twin in new_twins(connection, orders, source, shops):
            if not are_said_to_differ(connection, source, twin.shop):
                raise _unanswered(twin, source)


def _unanswered(twin: Twin, source: str) -> UnansweredError:
    other = "without --shop" if twin.shop == MAIN else f"with --shop {twin.shop}"
    fact = f"Order {twin.order_id} of shop {source!r} is in {twin.shop} with the same buyer and amount"
    return UnansweredError(
        f"{fact}: say --separate-orders if these are other orders, or import the file {other}.",
        option="separate_orders",
        question=f"{fact}. Are these other orders (yes)? Otherwise stop, and import the file {other}.",
        choices=("yes",),
    )
