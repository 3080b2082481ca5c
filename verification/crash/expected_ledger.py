"""The ledger that the victims pay, and its expected state when they are done, known before the first one starts."""

from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

import anyio

from cashback.database import Database
from cashback.database.dialect import Location
from cashback.database.referral_program import preferences, referrals
from cashback.database.referral_program.purchases import Purchase, record_purchases
from cashback.database.schedule import schedule
from cashback.domain.calendar import Rule, Schedule
from cashback.domain.ports import utc_now
from verification.testbed.databases import break_wallet, connect

FIRST_REFERRER: Final = 1_001
FIRST_BUYER: Final = 900_001
REFERRERS: Final = 24
ALL_OF_IT_PPM: Final = 1_000_000
SLOT_AT: Final = datetime(2026, 7, 3, 15, 0, tzinfo=UTC)
FRIDAYS: Final = Schedule(rule=Rule(weekday="friday", hour=15, minute=0), grace_hours=24, notice_hours=0)


class Origin(StrEnum):
    """The origin of the batch: an admin in two steps, or the schedule, which writes slot, batch and approval in one.

    The third is stopped while it runs, resumed, and retried after the refusing wallet is fixed.
    """

    ADMIN = "confirmed by an admin"
    SLOT = "of a scheduled slot"
    DESK = "stopped, resumed and retried"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The expected effects of a finished batch: cents by referrer, and the failed, skipped, and muted referrers."""

    credited_cents: dict[int, int]
    failed: int
    failed_cents: int
    skipped: int
    skipped_cents: int
    muted: int
    is_mended: bool = False

    def of(self, origin: Origin) -> "Expected":
        """Return the expected effects of a batch of this origin: a retried one pays the failed referrer."""
        if origin is not Origin.DESK:
            return self
        credited_cents = {**self.credited_cents, self.failed: self.failed_cents}
        return replace(self, credited_cents=credited_cents, is_mended=True)

    @property
    def unpaid(self) -> list[tuple[int, str]]:
        """List the unpaid referrers, and the state of their payouts."""
        failed = [] if self.is_mended else [(self.failed, "failed")]
        return sorted([*failed, (self.skipped, "skipped")])

    @property
    def notified(self) -> set[int]:
        """The referrers that get a direct message."""
        return set(self.credited_cents) - {self.muted}

    @property
    def planned_cents(self) -> dict[int, int]:
        """The planned cents, by referrer."""
        return {**self.credited_cents, self.failed: self.failed_cents, self.skipped: self.skipped_cents}


def make_ledger(location: Location) -> Expected:
    """Write a ledger with cashback pending for each referrer; return the expected effects of paying it.

    One referrer's wallet refuses to be written, so that a chunk is replayed payee by payee; one wants no direct
    messages; one is blacklisted by the victim between the summary and the confirmation.
    """
    owed = {FIRST_REFERRER + n: [100 + 7 * n + k for k in range(1 + n % 3)] for n in range(REFERRERS)}
    people = list(owed)
    muted, failed, skipped = people[3], people[9], people[14]
    anyio.run(_earn, location, owed, muted)
    with closing(connect(location)) as connection:
        break_wallet(connection, failed)
    sums = {person: sum(amounts) for person, amounts in owed.items()}
    return Expected(
        credited_cents={person: cents for person, cents in sums.items() if person not in {failed, skipped}},
        failed=failed,
        failed_cents=sums[failed],
        skipped=skipped,
        skipped_cents=sums[skipped],
        muted=muted,
    )


async def _earn(location: Location, owed: dict[int, list[int]], muted: int) -> None:
    pairs = [(person, cents) for person, amounts in owed.items() for cents in amounts]
    buyers = range(FIRST_BUYER, FIRST_BUYER + len(pairs))
    purchases = [
        Purchase(order_id=f"order-{buyer}", buyer_id=buyer, amount_cents=cents)
        for buyer, (_, cents) in zip(buyers, pairs, strict=True)
    ]
    people = [(person, buyer) for buyer, (person, _) in zip(buyers, pairs, strict=True)]
    async with Database(location) as database:
        await database.write(referrals.create_referrals, people, utc_now())
        await database.write(record_purchases, purchases, ALL_OF_IT_PPM, utc_now())
        await database.write(preferences.set_payout_dm, muted, wanted=False)
        await database.write(schedule.put_in_force, FRIDAYS, actor="schedule", now=SLOT_AT - timedelta(hours=1))
