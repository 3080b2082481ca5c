"""`Database`: the ledger's interface for this program and for another bot in the same process."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar

from sqlalchemy import Connection

from cashback.database import currencies, origins, schema
from cashback.database.dialect import Location, located, name_of
from cashback.database.engine import ConnectionOwner, Failpoint, no_failpoint
from cashback.database.payouts import approvals
from cashback.database.referral_program import blacklist, pending, people, purchases, referrals, refunds
from cashback.domain.earning import ANY_TIME, EarningDates
from cashback.domain.errors import CashbackError, DatabaseUnavailableError, OlderLedgerError
from cashback.domain.ports import Clock, utc_now

P = ParamSpec("P")
T = TypeVar("T")

DEFAULT_RATE_PPM: Final = 5_000
PPM_PER_PERCENT: Final = 10_000
LARGEST_RATE_PPM: Final = 1_000_000


class Database:
    """A ledger, in one file or on a PostgreSQL server.

    Use it as `async with Database(path) as database`, or call `connect` and `close`.
    """

    def __init__(
        self,
        location: str | Location,
        *,
        rate_ppm: int = DEFAULT_RATE_PPM,
        holding_days: int = 0,
        dates: EarningDates = ANY_TIME,
        currency: currencies.Currency | None = None,
        must_exist: bool = False,
        may_upgrade: bool = True,
        clock: Clock = utc_now,
        inline: bool = False,
        failpoint: Failpoint = no_failpoint,
        new_token: Callable[[], str] = approvals.new_token,
    ) -> None:
        """`location` is a path, `sqlite:///path` or `postgresql+psycopg://user@host/name`; nothing is opened yet.

        `rate_ppm` is the default rate of a purchase in parts per million; it becomes payable after `holding_days`.
        `dates` say which purchases earn. `currency` is the configured one; None agrees with any. With `must_exist`, a
        missing ledger is refused, not created; without `may_upgrade`, one of an older schema is refused, not upgraded.
        `inline` is for tests: SQL in the caller's thread. `failpoint` is called before and after each commit.
        """
        self.location = located(location)
        self._rate_ppm = rate_ppm
        self._holding_days = holding_days
        self._dates = dates
        self._currency = currency
        self._is_currency_fixed = False
        self._must_exist = must_exist
        self._may_upgrade = may_upgrade
        self._clock = clock
        self._inline = inline
        self._failpoint = failpoint
        self.new_token = new_token
        self._opened: ConnectionOwner | None = None
        self._closed: ConnectionOwner | None = None

    async def connect(self) -> None:
        """Open the ledger, create or adopt it if needed, and upgrade it to this program's schema.

        Raises DatabaseUnavailableError if the folder is missing, if the file is not SQLite's, read-only, locked or of a
        newer version, or if the server cannot be reached.
        """
        if self._opened is not None:
            return
        if isinstance(self.location, Path) and not self.location.parent.is_dir():
            message = (
                f"Database {self.name} cannot be opened: the folder {self.location.parent} does not exist;"
                " create it first."
            )
            raise DatabaseUnavailableError(message)
        if not schema.may_hold_tables(self.location):
            self._refuse_absence()
        # A closed connection owner opens again, and keeps its compiled statements.
        door = self._closed or ConnectionOwner(self.location, inline=self._inline, failpoint=self._failpoint)
        try:
            revision = await door.read(schema.revision_of)
            if revision is None and not await door.read(schema.count_tables):
                self._refuse_absence()
            self._refuse_older(revision)
            if revision != schema.NEWEST:
                await door.write(schema.upgrade, self.name, self._clock())
                # These connections were made before the file was a ledger; new ones get a ledger's settings.
                door.close()
                await door.read(schema.revision_of)
            self._is_currency_fixed = await door.read(currencies.require, self._currency, self.name)
        except BaseException:
            door.close()
            raise
        self._opened = door

    def _refuse_older(self, revision: str | None) -> None:
        """Raise for a ledger of an older version, if it must not be upgraded here."""
        if schema.is_older(revision) and not self._may_upgrade:
            message = (
                f"Database {self.name} has the schema {revision} of an older version (this program needs"
                f" {schema.NEWEST}); `cashback migrate` backs it up and upgrades it."
            )
            raise OlderLedgerError(message)

    def _refuse_absence(self) -> None:
        """Raise for a ledger that is not there, if it must be."""
        if not self._must_exist:
            return
        is_missing = isinstance(self.location, Path) and not self.location.exists()
        message = (
            f"Database {self.name} {'does not exist' if is_missing else 'is empty'}; name the ledger that you mean,"
            " or create this one with `cashback migrate`."
        )
        raise DatabaseUnavailableError(message)

    async def close(self) -> None:
        """Close the file. Closing twice is harmless."""
        if self._opened is not None:
            self._opened.close()
            self._opened, self._closed = None, self._opened

    async def __aenter__(self) -> Self:
        """Connect."""
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()

    @property
    def _door(self) -> ConnectionOwner:
        if self._opened is None:
            message = f"Database {self.name} is not open; connect() first."
            raise DatabaseUnavailableError(message)
        return self._opened

    @property
    def name(self) -> str:
        """The ledger's name for people: its path, or its address without the password."""
        return name_of(self.location)

    @property
    def path(self) -> Path:
        """The path of the file. Raises DatabaseUnavailableError if there is none."""
        if not isinstance(self.location, Path):
            message = f"Database {self.name} is not a file; this works for files only, on PostgreSQL use pg_dump."
            raise DatabaseUnavailableError(message)
        return self.location

    @property
    def folder(self) -> Path:
        """The folder for files that belong to the ledger: its file's folder, else the working directory."""
        return self.location.absolute().parent if isinstance(self.location, Path) else Path.cwd()

    def now(self) -> datetime:
        """Return the present moment by this ledger's clock."""
        return self._clock()

    async def write(self, function: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function of this package in one immediate transaction; it commits when the function returns."""
        if self._is_currency_fixed:
            return await self._door.write(function, *args, **kwargs)

        @wraps(function)
        def fixing(connection: Connection, /, *args: P.args, **kwargs: P.kwargs) -> tuple[T, bool]:
            # The function goes first: it may have to begin the transaction in a special way.
            result = function(connection, *args, **kwargs)
            return result, currencies.fix(connection, self._currency, self.name)

        result, self._is_currency_fixed = await self._door.write(fixing, *args, **kwargs)
        return result

    @property
    def is_written(self) -> bool:
        """Whether somebody in this process writes, or waits to."""
        return self._door.is_written

    async def read(self, function: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function of this package on one snapshot, in parallel to the writer."""
        return await self._door.read(function, *args, **kwargs)

    async def ensure_user(self, discord_id: int) -> None:
        """Ensure that a person has a row."""
        people.check_id(discord_id)
        await self.write(people.ensure_users, [discord_id], self.now())

    async def create_referral(self, referrer_id: int, referred_id: int) -> int:
        """Record a referral and return its id. Raises ReferralRefusedError, a RuntimeError."""
        return await self.write(referrals.create_referral, referrer_id, referred_id, self.now(), dates=self._dates)

    async def log_referral_purchase(
        self, referred_id: int, order_id: str | int, amount_cents: int, cashback_percent: float | str | None = None
    ) -> int | None:
        """Record one purchase; return the whole cents that it earned, None if nothing or if already recorded.

        `cashback_percent` defaults to the configured one. Raises PurchaseRefusedError for an order that is already
        recorded with another buyer or amount.
        """
        rate_ppm = self._rate_ppm if cashback_percent is None else rate_of(cashback_percent)
        purchase = purchases.Purchase(order_id=str(order_id), buyer_id=referred_id, amount_cents=amount_cents)
        return await self.write(
            purchases.log_purchase, purchase, rate_ppm, self.now(), holding_days=self._holding_days, dates=self._dates
        )

    async def record_purchases(self, reported: Sequence[purchases.Purchase]) -> list[purchases.RecordedPurchase]:
        """Record purchases in one transaction; return the outcome of each, in the order given."""
        return await self.write(
            purchases.record_purchases,
            reported,
            self._rate_ppm,
            self.now(),
            holding_days=self._holding_days,
            dates=self._dates,
        )

    async def log_referral_refund(
        self,
        order_id: str | int,
        amount_cents: int | None = None,
        refund_id: str | int | None = None,
        reason: str | None = None,
        *,
        actor: str = "bot",
    ) -> int | None:
        """Record a refund of an order; without an amount, of what is left.

        Returns the whole cents subtracted from the referrer's cashback, None if the order earned nothing or the refund
        was already recorded. Raises RefundRefusedError for an unknown order, for more than is left of it, and for a
        refund id recorded with another order or amount.
        """
        refund = refunds.Refund(
            order_id=str(order_id),
            amount_cents=amount_cents,
            refund_id=None if refund_id is None else str(refund_id),
            reason=reason,
        )
        recorded = await self.write(refunds.record_refund, refund, actor=actor, now=self.now())
        return recorded.taken_cents if recorded.outcome is refunds.RefundOutcome.TAKEN_BACK else None

    async def get_referral_stats(self, referrer_id: int) -> dict[str, int]:
        """Sum up one referrer's referrals: count, spend, earned, paid, pending."""
        return await self.read(referrals.referral_stats, referrer_id, self.now())

    async def get_referrer_for_user(self, referred_id: int) -> int | None:
        """Return a member's referrer, None if the member was not referred."""
        return await self.read(referrals.referrer_of, referred_id)

    async def get_referrals(self, referrer_id: int) -> list[dict[str, Any]]:
        """List a referrer's referrals, oldest first."""
        return await self.read(referrals.referrals_of, referrer_id)

    async def blacklist_referral_user(self, user_id: int, *, reason: str | None = None, actor: str = "bot") -> bool:
        """Exclude a member from referral cashback; False if already blacklisted."""
        return await self.write(blacklist.blacklist, user_id, reason=reason, actor=actor, now=self.now())

    async def get_all_pending_referral_cashbacks(self) -> list[dict[str, int]]:
        """List what each referrer would be paid now: referrer_id, pending_cents, referral_count; largest first."""
        return await self.read(pending.all_pending, self.now())

    async def get_pending_cashback_for_user(self, referrer_id: int) -> dict[str, Any]:
        """Return one referrer's pending cashback: pending_cents, referral_count, is_blacklisted, referral_details."""
        return await self.read(pending.pending_for, referrer_id, self.now())

    async def mark_cashback_paid(self, referrer_id: int, amount_cents: int) -> None:
        """Mark exactly this much as paid, oldest referral first, after another bot has paid it into the wallet."""
        await self.write(pending.mark_paid, referrer_id, amount_cents, self.now())

    async def share(self, bot: str) -> None:
        """Record that another bot, so named, writes into the wallets of this ledger too.

        `verify` then reports its transactions as remarks; in a ledger that is not shared each is a breach. An adopted
        ledger is shared from the beginning.
        """
        await self.write(origins.share, actor=bot, now=self.now())


def rate_of(percent: float | str) -> int:
    """Convert a percentage to parts per million. Raises CashbackError if it is invalid, or too fine."""
    try:
        rate = Decimal(str(percent)) * PPM_PER_PERCENT
        exact = rate == int(rate) and 0 <= rate <= LARGEST_RATE_PPM
    except (ArithmeticError, ValueError):
        exact = False
    if not exact:
        message = f"The percentage {percent!r} is not a number from 0 to 100 with at most four decimals."
        raise CashbackError(message)
    return int(rate)
