"""Limits, refunds, undone imports, reassigned orders and several shops: any order of arrival earns the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from cashback.database import Database
from cashback.database.integrity import reconciliation
from cashback.database.referral_program import corrections, intakes, undoing
from cashback.database.referral_program.intakes import IntakeTotals
from cashback.database.referral_program.purchases import Purchase, PurchaseOutcome, record_purchases
from cashback.database.referral_program.referrals import create_referrals
from cashback.database.referral_program.refunds import Refund
from cashback.database.referral_program.shop_refunds import receive_refunds
from cashback.domain.earning import EarningDates, Origin
from cashback.domain.errors import CashbackError
from tests.conftest import FRIDAY, Clock
from tests.examples import examples

REFERRER = 1
BUYERS = [10, 11, 12]
RATE_PPM = 5_700
DAY = timedelta(days=1)
PPM = 10**6


@dataclass(frozen=True)
class Bought:
    """A purchase: its shop, buyer, cents, how many days ago, and what is refunded of it."""

    shop: str
    buyer: int
    cents: int
    ago: int
    refunded: int = 0

    @property
    def at(self) -> datetime:
        """The moment of the purchase."""
        return FRIDAY - self.ago * DAY

    @property
    def kept_cents(self) -> int:
        """What is left of it."""
        return self.cents - min(self.refunded, self.cents)


@dataclass(frozen=True)
class Facts:
    """All that arrives. `days` is how many days ago each member was referred; `moved_to` buys order 0 in the end."""

    bought: Sequence[Bought]
    days: dict[int, int]
    dates: EarningDates
    moved_to: int | None = None

    def earned(self) -> dict[int, dict[str, int]]:
        """Return what each referral earns without a cap, by month, in millionths of a cent."""
        found: dict[int, dict[str, int]] = {buyer: defaultdict(int) for buyer in self.days}
        for number, one in enumerate(self.bought):
            buyer = self.moved_to if number == 0 and self.moved_to is not None else one.buyer
            if buyer not in self.days or one.ago > self.days[buyer]:
                continue
            ends_after = self.dates.earns_for_days
            if ends_after is None or self.days[buyer] - one.ago < ends_after:
                found[buyer][f"{one.at:%Y-%m}"] += one.kept_cents * RATE_PPM
        return found


def bought(*, refunds: bool) -> st.SearchStrategy[list[Bought]]:
    refunded = st.sampled_from([0, 0, 1, 500, 10**6]) if refunds else st.just(0)
    one = st.builds(
        Bought,
        shop=st.sampled_from(["main", "hats"]),
        buyer=st.sampled_from(BUYERS),
        cents=st.integers(1, 10**6),
        ago=st.integers(0, 9),
        refunded=refunded,
    )
    return st.lists(one, min_size=1, max_size=7)


referred = st.dictionaries(st.sampled_from(BUYERS), st.integers(0, 9), max_size=3)
STEPS = ["main", "hats", "referrals", "refunds", "undone"]


async def _arrive(path: Path, facts: Facts, steps: Sequence[str]) -> dict[int, int]:
    async with Database(path, clock=Clock(), inline=True) as database:
        ledger = Arrival(database, facts)
        for step in [*steps, *steps]:
            await ledger.take(step)
        await ledger.move()
        breaches = (await database.read(reconciliation.verify)).breaches
        assert breaches == (), breaches
        return {
            one["referred_user_id"]: one["cashback_earned_cents"] * PPM + one["cashback_carry_ppm"]
            for one in await database.get_referrals(REFERRER)
        }


class Arrival:
    """Takes the facts into a ledger, step by step; each step may be repeated."""

    def __init__(self, database: Database, facts: Facts) -> None:
        self._database = database
        self._facts = facts

    async def take(self, step: str) -> None:
        """Take one kind of facts."""
        if step == "referrals":
            pairs = [(REFERRER, buyer) for buyer in self._facts.days]
            moments = [FRIDAY - ago * DAY for ago in self._facts.days.values()]
            await self._database.write(create_referrals, pairs, FRIDAY, referred_at=moments, dates=self._facts.dates)
        elif step == "refunds":
            await self._refund()
        elif step == "undone":
            number = await self._import("main")
            if number is not None:
                # It is refused if a refund came before; then the import stays, and nothing was changed.
                with suppress(CashbackError):
                    await self._database.write(undoing.undo, number, actor="cli", now=FRIDAY)
        else:
            await self._import(step)

    async def _import(self, shop: str) -> int | None:
        """Import a shop's orders that are new; return the import's number if there are any."""
        of_shop = [
            Purchase(str(number), one.buyer, one.cents, one.at)
            for number, one in enumerate(self._facts.bought)
            if one.shop == shop
        ]

        def take(connection: Any) -> int | None:  # noqa: ANN401 -- SQLAlchemy's connection
            number = intakes.begin(connection, source=shop, kind="import", actor="cli", now=FRIDAY)
            origin = Origin(source=shop, intake_number=number)
            answers = record_purchases(
                connection,
                of_shop,
                RATE_PPM,
                FRIDAY,
                dates=self._facts.dates,
                origin=origin,
            )
            counted = {PurchaseOutcome.EARNED, PurchaseOutcome.NOBODY_EARNS}
            both = zip(of_shop, answers, strict=True)
            new = [purchase.amount_cents for purchase, answer in both if answer.outcome in counted]
            totals = IntakeTotals(digest=None, rows=len(new), cents=sum(new))
            intakes.finish(connection, number, totals, actor="cli", now=FRIDAY)
            return number if new else None

        return await self._database.write(take)

    async def _refund(self) -> None:
        for number, one in enumerate(self._facts.bought):
            if one.refunded:
                refund = Refund(order_id=str(number), amount_cents=one.refunded, refund_id=f"R{number}")
                await self._database.write(
                    receive_refunds,
                    [refund],
                    actor="shop",
                    now=FRIDAY,
                    origin=Origin(source=one.shop),
                    dates=self._facts.dates,
                )

    async def move(self) -> None:
        """Make the first order another member's."""
        if self._facts.moved_to is not None:
            await self._database.write(
                corrections.reassign,
                "0",
                self._facts.moved_to,
                source=self._facts.bought[0].shop,
                reason="a gift",
                actor="cli",
                now=FRIDAY,
                rate_ppm=RATE_PPM,
                dates=self._facts.dates,
            )


def arrive(new_ledger: Path, facts: Facts, steps: Sequence[str]) -> dict[int, int]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        copyfile(new_ledger, path)
        return anyio.run(_arrive, path, facts, steps)


@settings(max_examples=examples(25), deadline=None)
@given(bought(refunds=True), referred, st.sampled_from([None, 1, 3]), st.permutations(STEPS), st.booleans(), st.data())
def test_shops_refunds_undone_imports_and_reassigned_orders_may_arrive_in_any_order(
    new_ledger: Path,
    purchases: list[Bought],
    days: dict[int, int],
    ends_after: int | None,
    steps: list[str],
    moves: bool,
    data: st.DataObject,
) -> None:
    others = [buyer for buyer in BUYERS if buyer != purchases[0].buyer]
    can_move = moves and purchases[0].kept_cents > 0
    moved_to = data.draw(st.sampled_from(others)) if can_move else None
    facts = Facts(purchases, days, EarningDates(earns_for_days=ends_after), moved_to)
    expected = {buyer: sum(months.values()) for buyer, months in facts.earned().items()}
    assert arrive(new_ledger, facts, steps) == expected


@settings(max_examples=examples(25), deadline=None)
@given(bought(refunds=False), referred, st.integers(1, 20_000), st.permutations(STEPS))
def test_monthly_cap_is_reached_in_any_order_of_arrival(
    new_ledger: Path, purchases: list[Bought], days: dict[int, int], cap_cents: int, steps: list[str]
) -> None:
    """A purchase that reaches the cap loses less than a millionth of a cent for each of its cents."""
    facts = Facts(purchases, days, EarningDates(monthly_cap_cents=cap_cents))
    by_month: dict[str, int] = defaultdict(int)
    for months in facts.earned().values():
        for month, millionths in months.items():
            by_month[month] += millionths
    capped = sum(min(cap_cents * PPM, millionths) for millionths in by_month.values())
    lost = sum(max(one.cents for one in purchases) for millionths in by_month.values() if millionths > cap_cents * PPM)
    assert capped - lost <= sum(arrive(new_ledger, facts, steps).values()) <= capped
