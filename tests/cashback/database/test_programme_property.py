"""Purchases, refunds, rates, holding periods and batches in any order, held against exact fractions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from math import floor
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Final

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from cashback.database import Database
from cashback.database.queries.members import referrals_page
from cashback.database.referral_program.pending import held_and_owed
from cashback.database.referral_program.purchases import Purchase, log_purchase
from cashback.database.referral_program.referrals import create_referrals
from cashback.database.referral_program.refunds import Refund, record_refund
from cashback.database.tables import referrals, users
from cashback.domain.errors import CashbackError, NothingPendingError, RefundRefusedError
from tests.conftest import Clock, LedgerFixture
from tests.examples import examples

PPM: Final = 1_000_000
REFERRERS: Final = {10: 1, 11: 2}
"""The referrals, as buyer: referrer."""


@dataclass(frozen=True)
class Buy:
    """A purchase at a rate that becomes payable after so many days."""

    buyer: int
    cents: int
    rate_ppm: int
    holding_days: int


@dataclass(frozen=True)
class GiveBack:
    """A refund of a part of one of the purchases so far, or of what is left."""

    which: int
    cents: int | None


@dataclass(frozen=True)
class Wait:
    """Time passes."""

    hours: int


@dataclass(frozen=True)
class PayBatch:
    """A batch is proposed, approved and paid, with something happening between approval and payment."""

    between: Buy | GiveBack | Wait | None


@dataclass(frozen=True)
class PaidElsewhere:
    """Another bot pays a share of what is pending."""

    referrer: int
    share: int


buys = st.builds(
    Buy,
    buyer=st.sampled_from([10, 10, 11]),
    cents=st.sampled_from([180, 199, 0, 10**12]) | st.integers(1, 3_000),
    rate_ppm=st.sampled_from([5_000, 5_700, 333_333, PPM, 1, 0]),
    holding_days=st.sampled_from([0, 1, 0, 3, 90]),
)
refunds = st.builds(GiveBack, which=st.integers(0, 20), cents=st.none() | st.integers(1, 3_000))
waits = st.builds(Wait, hours=st.integers(1, 100))
batches = st.builds(PayBatch, between=st.none() | buys | refunds | waits)
elsewhere = st.builds(PaidElsewhere, referrer=st.sampled_from([1, 2]), share=st.integers(1, 3))
Act = Buy | GiveBack | Wait | PayBatch | PaidElsewhere
acts = st.lists(buys | buys | refunds | waits | batches | elsewhere, min_size=6, max_size=20)


@dataclass
class Bought:
    """One purchase of the model."""

    buyer: int
    cents: int
    rate_ppm: int
    payable_at: datetime
    refunded: int = 0

    @property
    def exact(self) -> Fraction:
        """What it earns, to the last fraction of a cent."""
        return Fraction((self.cents - self.refunded) * self.rate_ppm, PPM)


@dataclass
class Model:
    """What was bought, and nothing else: all that a referral earns and may be paid follows from it."""

    purchases: list[Bought] = field(default_factory=list)

    def earned(self, buyer: int) -> Fraction:
        """Sum up what a referral earned exactly."""
        return sum((one.exact for one in self.purchases if one.buyer == buyer), Fraction())

    def payable(self, buyer: int, now: datetime) -> Fraction:
        """Sum up what of it is payable by now."""
        ours = (one for one in self.purchases if one.buyer == buyer and one.payable_at <= now)
        return sum((one.exact for one in ours), Fraction())


class Programme:
    """Does to a real file and to the model the same."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.ledger = LedgerFixture(database, clock)
        self.clock = clock
        self.model = Model()
        self.wallets = {1: 0, 2: 0}

    async def act(self, act: Act) -> None:
        """Do one thing."""
        if isinstance(act, Buy):
            await self.buy(act)
        elif isinstance(act, GiveBack):
            await self.give_back(act)
        elif isinstance(act, Wait):
            self.clock.advance(act.hours * 3_600)
        elif isinstance(act, PayBatch):
            await self.pay(act)
        else:
            await self.pay_elsewhere(act)

    async def buy(self, act: Buy) -> None:
        number, now = len(self.model.purchases), self.clock()
        bought = Purchase(order_id=str(number), buyer_id=act.buyer, amount_cents=act.cents)
        await self.ledger.database.write(log_purchase, bought, act.rate_ppm, now, holding_days=act.holding_days)
        payable_at = now + timedelta(days=act.holding_days)
        self.model.purchases.append(Bought(act.buyer, act.cents, act.rate_ppm, payable_at))

    async def give_back(self, act: GiveBack) -> None:
        if not self.model.purchases:
            return
        number = act.which % len(self.model.purchases)
        bought = self.model.purchases[number]
        left = bought.cents - bought.refunded
        cents = left if act.cents is None else act.cents
        refund = Refund(order_id=str(number), amount_cents=act.cents, refund_id=f"{number}-{bought.refunded}-{cents}")
        try:
            await self.ledger.database.write(record_refund, refund, actor="cli", now=self.clock())
        except RefundRefusedError:
            assert not 0 < cents <= left
        else:
            assert 0 < cents <= left
            bought.refunded += cents

    async def pay(self, act: PayBatch) -> None:
        try:
            number = await self.ledger.approved()
        except NothingPendingError:
            assert not await self.ledger.database.get_all_pending_referral_cashbacks()
            return
        if act.between is not None:
            await self.act(act.between)
        before = {buyer: self.model.payable(buyer, self.clock()) for buyer in REFERRERS}
        recorder = await self.ledger.run(number)
        assert not recorder.interruptions
        for referrer, _, paid_cents, _ in self.ledger.payouts(number):
            self.wallets[referrer] += paid_cents
            assert paid_cents <= sum(before[buyer] for buyer, its in REFERRERS.items() if its == referrer)

    async def pay_elsewhere(self, act: PaidElsewhere) -> None:
        cents = await self.ledger.pending(act.referrer) // act.share
        try:
            await self.ledger.database.mark_cashback_paid(act.referrer, cents)
        except CashbackError:
            assert cents == 0

    async def check(self) -> None:
        """Compare every referral with the model, and the sums with the referrals."""
        await self.ledger.database.read(self._compare, self.clock())

    def _compare(self, connection: Connection, now: datetime) -> None:
        held = owed = 0
        for referrer in self.wallets:
            for one in referrals_page(connection, referrer, now, limit=10):
                buyer = one["referred_user_id"]
                earned, payable = self.model.earned(buyer), floor(self.model.payable(buyer, now))
                debt = max(0, -one["pending_cents"])
                pending = max(0, one["pending_cents"])
                assert one["earned_cents"] == floor(earned)
                assert one["paid_cents"] + pending + one["held_cents"] - debt == floor(earned)
                assert one["held_cents"] == floor(earned) - payable
                assert one["paid_cents"] - debt <= payable
                assert pending == max(0, payable - one["paid_cents"])
                held, owed = held + one["held_cents"], owed + debt
        assert held_and_owed(connection, now) == {"held_cents": held, "owed_cents": owed}
        for buyer, carry in connection.execute(select(referrals.c.referred_user_id, referrals.c.cashback_carry_ppm)):
            assert Fraction(carry, PPM) == self.model.earned(buyer) % 1
        stored = connection.execute(select(users.c.discord_id, users.c.wallet_balance_cents))
        assert {person: cents for person, cents in stored if person in self.wallets} == self.wallets


async def _live(path: Path, wanted: Sequence[Act]) -> None:
    clock = Clock()
    async with Database(path, clock=clock, inline=True) as database:
        pairs = [(referrer, buyer) for buyer, referrer in REFERRERS.items()]
        await database.write(create_referrals, pairs, clock())
        programme = Programme(database, clock)
        for act in wanted:
            await programme.act(act)
            await programme.check()
        assert (await programme.ledger.verify()).breaches == ()


@settings(max_examples=examples(30), deadline=None)
@given(wanted=acts)
def test_paid_pending_held_less_owed_is_the_exact_sum(new_ledger: Path, wanted: list[Act]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "cashback.db"
        copyfile(new_ledger, path)
        anyio.run(_live, path, wanted)
