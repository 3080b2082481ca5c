"""Which batches somebody at the terminal wants."""

from cashback.database.queries.history import BatchFilter, status_named
from cashback.domain.days import first_moment, moment_after


def batches(*, state: str | None, user_id: int | None, since: str | None, until: str | None) -> BatchFilter:
    """Read the filters. Raises CashbackError where one is none."""
    return BatchFilter(
        status=status_named(state), user_id=user_id, since=first_moment(since), until=moment_after(until)
    )
