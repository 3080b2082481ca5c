"""Purchases, batches, refunds and reversals of one referral in any order, judged by what the member has in the end.

What was bought and paid by a payout that nobody reversed stays with the member, less its refunds. Of what reversals
took, nothing comes back: it is not paid again and settles no debt of another payout.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from cashback.database import Database
from cashback.database.referral_program.pending import held_and_owed
from cashback.domain.errors import NothingPendingError, StaleBatchError
from tests.cashback.database.test_taken_once import refund, reverse, spend
from tests.conftest import Clock, LedgerFixture
from tests.examples import examples

buys = st.tuples(st.just("buy"), st.integers(1, 40), st.just(0))
pays = st.tuples(st.just("pay"), st.just(0), st.just(0))
refunds = st.tuples(st.just("refund"), st.integers(0, 9), st.sampled_from([1, 2, 3]))
reversals = st.tuples(st.just("reverse"), st.integers(0, 9), st.sampled_from([1, 1, 3]))
acts = st.lists(buys | buys | pays | pays | refunds | refunds | reversals, min_size=4, max_size=16)


@dataclass(slots=True)
class Bought:
    """A purchase that earns its amount, and the batch that paid it."""

    cents: int
    refunded: int = 0
    batch: int | None = None


@dataclass(slots=True)
class Story:
    """What happened: nothing of it is read from the ledger's tables of referrals and shares."""

    ledger: LedgerFixture
    clock: Clock
    buyer: int
    purchases: list[Bought] = field(default_factory=list)
    received: int = 0
    returned: dict[int, int] = field(default_factory=dict)
    """What reversals took, by batch."""
    batches: list[int] = field(default_factory=list)

    async def act(self, kind: str, which: int, part: int) -> None:
        """Do one thing."""
        self.clock.advance(1)
        if kind == "buy":
            await self.ledger.buy([(self.buyer, which)])
            self.purchases.append(Bought(which))
        elif kind == "pay":
            with suppress(NothingPendingError):
                await self.pay()
        elif kind == "refund" and self.purchases:
            await self.refund(which % len(self.purchases), part)
        elif kind == "reverse" and self.batches:
            await self.reverse(self.batches[which % len(self.batches)], part)

    async def pay(self) -> None:
        report = await self.ledger.pay()
        self.batches.append(report.batch_number)
        self.received += report.total_cents
        for bought in self.purchases:
            bought.batch = bought.batch or report.batch_number

    async def refund(self, which: int, part: int) -> None:
        bought = self.purchases[which]
        left = bought.cents - bought.refunded
        if left:
            cents = -(-left // part)
            await refund(self.ledger, which + 1, cents)
            bought.refunded += cents

    async def reverse(self, batch: int, part: int) -> None:
        """Reverse a payout, perhaps when most of the wallet is spent."""
        spent = self.ledger.balance(1) * (part - 1) // part
        spend(self.ledger, spent)
        with suppress(StaleBatchError):
            self.returned[batch], _ = await reverse(self.ledger, batch)
        spend(self.ledger, -spent)

    async def check(self) -> None:
        """Hold what the member has, less debts, between what stays with them and what is left of all earnings."""
        sums = await self.ledger.database.read(held_and_owed, self.ledger.clock(), referrer_id=1)
        has = self.received - sum(self.returned.values())
        net = has - sums["owed_cents"] + await self.ledger.pending(1)
        left = {id(one): one.cents - one.refunded for one in self.purchases}
        stays = sum(left[id(one)] for one in self.purchases if one.batch not in self.returned)
        forfeited = sum(
            max(0, cents - sum(one.refunded for one in self.purchases if one.batch == batch))
            for batch, cents in self.returned.items()
        )
        assert stays <= net <= sum(left.values()) - forfeited


async def _live(path: Path, wanted: list[tuple[str, int, int]]) -> None:
    clock = Clock()
    async with Database(path, clock=clock, inline=True) as database:
        await database.share("the shop's bot")
        ledger = LedgerFixture(database, clock)
        await database.create_referral(1, 2)
        story = Story(ledger, clock, buyer=2)
        for act in wanted:
            await story.act(*act)
            await story.check()
        assert (await ledger.verify()).breaches == ()


@settings(max_examples=examples(200), deadline=None)
@given(wanted=acts)
def test_what_nobody_reversed_or_refunded_stays_and_nothing_else(
    new_ledger: Path, wanted: list[tuple[str, int, int]]
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(copyfile(new_ledger, Path(folder) / "ledger.db"))
        anyio.run(_live, path, wanted)
