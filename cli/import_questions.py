"""What an import leaves open and only the ledger shows: dates of referrals, and orders that another shop has too."""

from typing import Any

from cashback.database.referral_program.intakes import is_new_shop, twins_in_main
from cashback.database.referral_program.referrals import referrers_of
from cashback.database.referral_program.waiting import buyer_waiting, is_anything_waiting
from cashback.shops.answers import ALWAYS, Answers, UnansweredError
from cashback.shops.chunks import PurchaseFile, ReferralFile


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


def ask_for_twins(connection: Any, purchases: PurchaseFile, source: str, chunk_rows: int) -> None:  # noqa: ANN401 -- as above
    """Raise UnansweredError if a new shop's orders are in `main` with the same buyer and amount."""
    if not is_new_shop(connection, source):
        return
    for chunk in purchases.chunks(chunk_rows):
        orders = [(row.order_id, row.buyer_id, row.amount_cents) for row in chunk.rows]
        twins = twins_in_main(connection, orders)
        if twins:
            raise UnansweredError(
                f"Order {twins[0]} of the new shop {source!r} is in main with the same buyer and amount: say"
                " --separate-orders if these are other orders, or import the file without --shop.",
                option="separate_orders",
                question=f"Order {twins[0]} of the new shop {source!r} is in main with the same buyer and amount. Are"
                " these other orders (yes)? Otherwise stop, and import the file without --shop.",
                choices=("yes",),
            )
