"""Compares the rows with the ledger model, and at the end finds unfinished work, independently of the program."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from cashback.domain.calendar import Rule
from cashback.domain.model import BatchStatus, PayoutStatus, SlotStatus
from cashback.domain.ports import Clock
from verification.simulation.discord_model import DiscordModel
from verification.simulation.ledger_model import PPM, LedgerModel


class EndedWorld(Protocol):
    """The parts of an ended world that are checked."""

    model: LedgerModel
    discord: DiscordModel

    @property
    def clock(self) -> Clock:
        """Its clock."""
        ...

    @property
    def rule(self) -> Rule:
        """The rule of the weekly batch."""
        ...

    @property
    def minimum_cents(self) -> int:
        """The smallest withdrawal."""
        ...


LAPSING: Final = timedelta(minutes=10)
"""So soon after its moment an approval has lapsed in the rows too."""

FINISHED: Final = (BatchStatus.COMPLETED, BatchStatus.COMPLETED_WITH_FAILURES)


def inspect(rows: sqlite3.Connection, model: LedgerModel) -> Iterator[str]:
    """Describe each table whose rows differ from the model."""
    for what, query, expected in _tables(model):
        found = rows.execute(query).fetchall()
        if found != expected:
            yield f"{what}: {_difference(found, expected)}"
    yield from _audited(rows, model)


def _tables(model: LedgerModel) -> Iterator[tuple[str, str, list[tuple[Any, ...]]]]:
    yield (
        "referrals (referrer, referred, spend, earned, paid, given back, charged, paid elsewhere, carry)",
        """SELECT referrer_user_id, referred_user_id, referred_total_spend_cents, cashback_earned_cents,
        cashback_paid_cents, cashback_forfeited_cents, cashback_charged_cents, cashback_paid_elsewhere_cents,
        cashback_carry_ppm FROM referrals ORDER BY id""",
        [
            (
                *(r.referrer, r.referred, r.spend, r.earned, r.paid, r.given_back, r.charged, r.elsewhere),
                int((r.exact - r.earned) * PPM),
            )
            for r in model.referrals
        ],
    )
    yield (
        "wallets (member, cents)",
        "SELECT discord_id, wallet_balance_cents FROM users ORDER BY 1",
        sorted(model.balances.items()),
    )
    yield (
        "wallet transactions (batch, member, cents, balance)",
        """SELECT cashback_payout_batch_number, user_discord_id, amount_cents, balance_after_cents
        FROM wallet_transactions ORDER BY id""",
        list(model.moves),
    )
    yield (
        "batches (number, status)",
        "SELECT number, status FROM cashback_payout_batches ORDER BY 1",
        [(number, batch.status) for number, batch in sorted(model.batches.items())],
    )
    yield (
        "payouts (batch, referrer, approved, status, paid, reason)",
        (
            "SELECT batch_number, referrer_id, approved_cents, status, paid_cents, reason FROM cashback_payouts"
            " ORDER BY 1, 2"
        ),
        [
            (number, person, payout.approved, payout.status, payout.paid, payout.reason)
            for number, batch in sorted(model.batches.items())
            for person, payout in sorted(batch.payouts.items())
        ],
    )
    yield (
        "shares (batch, referrer, member, shown, paid, taken back, charged, forfeited)",
        """SELECT batch_number, referrer_id, referred_user_id, payable_cents, paid_cents, returned_cents,
        charged_cents, forfeited_cents
        FROM cashback_payout_shares JOIN referrals ON referrals.id = referral_id ORDER BY 1, 2, referral_id""",
        [
            (
                *(number, person, model.referrals[place].referred, share.payable, share.paid, share.returned),
                *(share.charged, share.forfeited),
            )
            for number, batch in sorted(model.batches.items())
            for person, payout in sorted(batch.payouts.items())
            for place, share in sorted(payout.shares.items())
        ],
    )
    yield (
        "direct messages (batch, member)",
        "SELECT batch_number, user_id FROM cashback_notifications ORDER BY 1, 2",
        sorted((number, person) for number, person, _, _ in model.moves if number is not None),
    )
    yield (
        "payouts taken back (batch, referrer, cents, cents that were not there, cents that were not due)",
        """SELECT batch_number, referrer_id, amount_cents, shortfall_cents, recovered_cents
        FROM cashback_payout_reversals ORDER BY 1, 2""",
        [
            (number, person, *payout.taken_back)
            for number, batch in sorted(model.batches.items())
            for person, payout in sorted(batch.payouts.items())
            if payout.taken_back is not None
        ],
    )
    yield (
        "withdrawals (number, member, cents, state)",
        "SELECT number, user_id, amount_cents, status FROM cashback_withdrawals ORDER BY 1",
        [(number, one.member, one.cents, one.status) for number, one in sorted(model.wallets.requests.items())],
    )
    yield (
        "adjustments (member, cents)",
        "SELECT user_id, amount_cents FROM cashback_wallet_adjustments ORDER BY transaction_id",
        list(model.wallets.adjusted),
    )
    yield (
        "slots (moment, status, batch)",
        "SELECT slot_at, status, batch_number FROM cashback_schedule_slots ORDER BY 1",
        [(_text(slot_at), status, number) for slot_at, (status, number) in sorted(model.slots.items())],
    )


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def _difference(found: list[tuple[Any, ...]], expected: list[tuple[Any, ...]]) -> str:
    more = [row for row in found if row not in expected]
    less = [row for row in expected if row not in found]
    return f"the rows have {more or found}, the model {less or expected}"


def _audited(rows: sqlite3.Connection, model: LedgerModel) -> Iterator[str]:
    """Find batches whose ends are not in the audit log exactly once for each time that they were finished."""
    query = "SELECT batch_number, count(*) FROM cashback_audit_log WHERE action = 'batch_finished' GROUP BY 1"
    told = dict(rows.execute(query).fetchall())
    ends = {number: batch.ends for number, batch in model.batches.items() if batch.ends}
    if told != ends:
        yield f"the audit log has the ends {told}, there were {ends}"


def inspect_end(rows: sqlite3.Connection, world: EndedWorld) -> Iterator[str]:
    """Describe what is stuck although faults have ended: batches, cents, direct messages, slots."""
    model = world.model
    for number, batch in model.batches.items():
        if batch.status in {BatchStatus.PROPOSED, BatchStatus.APPROVED, BatchStatus.RUNNING}:
            yield f"batch {number} is {batch.status} for ever"
        if batch.status in FINISHED and any(one.status is PayoutStatus.PLANNED for one in batch.payouts.values()):
            yield f"batch {number} is {batch.status} and has planned payouts"
    for number in model.overdue(world.clock() - LAPSING):
        yield f"batch {number} is {model.batches[number].status} although its approval lapsed"
    queued = rows.execute(
        "SELECT id, attempts, last_error FROM cashback_notifications WHERE status = 'queued'"
    ).fetchall()
    if queued:
        yield f"direct messages are queued for ever: {queued}"
    if world.discord.unseen():
        yield f"direct messages are marked as sent and nobody saw them: {world.discord.unseen()}"
    for person in sorted(set(model.referrals_by) - {model.broken_wallet} - set(model.absent)):
        cents = model.pending(person, world.clock())
        if cents >= model.min_payout_cents:
            yield f"{cents} cents of {person} are pending for ever"
    yield from unsent(world)
    yield from _slots(rows, world)


def unsent(world: EndedWorld) -> Iterator[str]:
    """Find payouts that should have been sent each time and stay in a wallet."""
    wallets, waiting = world.model.wallets, {world.model.broken_wallet, *world.model.barred}
    for person, unsent in wallets.sent_each_time.items():
        if person in waiting:
            continue
        cents = min(sum(unsent.values()), wallets.balances[person])
        if cents >= world.minimum_cents and wallets.open_of(person) is None:
            yield f"{cents} cents of {person} are never sent"


def _slots(rows: sqlite3.Connection, world: EndedWorld) -> Iterator[str]:
    """Find undecided slots, and slots without exactly one batch."""
    if not rows.execute("SELECT 1 FROM cashback_schedule_state").fetchall():
        yield "no schedule has come into force"
    for slot_at in undecided_slots(rows, world):
        yield f"the slot of {slot_at} was never decided"
    batched = sorted(number for status, number in world.model.slots.values() if status is SlotStatus.BATCHED and number)
    by_schedule = sorted(number for number, batch in world.model.batches.items() if batch.proposed_by == "schedule")
    if batched != by_schedule:
        yield f"the slots have the batches {batched}, the schedule made {by_schedule}"


def undecided_slots(rows: sqlite3.Connection, world: EndedWorld) -> list[datetime]:
    """List the undecided slots that have passed since the schedule came into force."""
    return [
        slot_at
        for (since,) in rows.execute("SELECT in_force_since FROM cashback_schedule_state").fetchall()
        for slot_at in world.rule.slots_between(datetime.fromisoformat(since).replace(tzinfo=UTC), world.clock())
        if slot_at not in world.model.slots
    ]
