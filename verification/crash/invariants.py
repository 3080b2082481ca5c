"""Invariants of a victim's ledger and sends after each of its deaths, and when it is done."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, LiteralString

import anyio

from cashback.background.outbox_dispatcher import MAX_IN_FLIGHT
from cashback.database import Database
from cashback.database.dialect import Location
from cashback.database.integrity import reconciliation
from verification.crash.expected_ledger import Expected, Origin
from verification.crash.victim import SENDS
from verification.testbed.databases import Raw, at_rest, connect
from verification.testbed.findings import Losses

Rows = list[tuple[Any, ...]]

_ALWAYS: Final = ("schedule_changed", "batch_proposed", "blacklisted", "batch_approved", "batch_finished")
AUDITED: Final = {
    Origin.ADMIN: Counter(_ALWAYS),
    Origin.SLOT: Counter((*_ALWAYS, "slot_batched")),
    Origin.DESK: Counter((*_ALWAYS, "batch_stopped", "batch_resumed", "retry_started", "batch_finished")),
}
"""The entries that the audit log must have, and how often, when a victim is done."""

TOO_LATE: Final = Counter(("batch_stopped", "batch_resumed"))
"""Entries that may be missing: a victim that resumes with the last payouts only is done before it can be stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """The errors in a victim's files, each in a line, and what was lost or paid twice."""

    violations: tuple[str, ...]
    losses: Losses


@dataclass(frozen=True, slots=True, kw_only=True)
class Sends:
    """The direct messages that members saw, in order: (notification id, nonce, number of the process that sent it)."""

    lines: tuple[tuple[int, str, int], ...]

    @property
    def repeats(self) -> int:
        """How many were sent although they had been sent before."""
        return len(self.lines) - len({line[0] for line in self.lines})


def read_sends(folder: Path) -> Sends:
    """Read the file of sends; empty if nothing was sent yet."""
    path = folder / SENDS
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    words = [line.split() for line in lines]
    return Sends(lines=tuple((int(notification), nonce, int(life)) for notification, nonce, life in words))


def inspect(folder: Path, expected: Expected, origin: Origin, *, done: bool) -> Inspection:
    """Check a victim's files after one of its deaths, or when it is done."""
    expected = expected.of(origin)
    sends = read_sends(folder)
    with at_rest(folder) as location:
        found = list(anyio.run(_verify, location))
        with closing(connect(location)) as connection:
            found += _wrong_money(connection, expected, origin)
            found += _wrong_messages(connection, sends)
            if done:
                found += _unfinished(connection, expected, origin, sends)
            losses = _count_losses(connection, expected, sends, done=done)
    return Inspection(violations=tuple(found), losses=losses)


def _count_losses(connection: Raw, expected: Expected, sends: Sends, *, done: bool) -> Losses:
    """Count by person: the wallet plus the pending cashback must equal the earnings."""
    left: dict[int, int] = dict(
        _rows(
            connection,
            "SELECT referrer_user_id, CAST(sum(cashback_earned_cents - cashback_paid_cents) AS BIGINT) FROM referrals"
            " GROUP BY 1",
        )
    )
    wallets: dict[int, int] = dict(_rows(connection, "SELECT discord_id, wallet_balance_cents FROM users"))
    surplus = {
        person: wallets.get(person, 0) + left.get(person, 0) - cents for person, cents in expected.planned_cents.items()
    }
    marked = {row[0] for row in _rows(connection, "SELECT id FROM cashback_notifications WHERE status = 'sent'")}
    lost = len(marked - {line[0] for line in sends.lines})
    if done:
        lost = len(expected.notified - {int(nonce.split(":")[1]) for _, nonce, _ in sends.lines})
    return Losses(
        double_payments=sum(cents > 0 for cents in surplus.values()),
        lost_cents=-sum(cents for cents in surplus.values() if cents < 0),
        lost_messages=lost,
    )


async def _verify(location: Location) -> tuple[str, ...]:
    async with Database(location, inline=True) as database:
        return (await database.read(reconciliation.verify)).breaches


def _rows(connection: Raw, query: LiteralString) -> Rows:
    return connection.execute(query).fetchall()


def _audited(connection: Raw) -> Counter[str]:
    return Counter(action for (action,) in _rows(connection, "SELECT action FROM cashback_audit_log"))


def _wrong_money(connection: Raw, expected: Expected, origin: Origin) -> Iterator[str]:
    """Compare each row with the expected values, without the program's own reconciliation."""
    credited: dict[int, int] = dict(
        _rows(connection, "SELECT referrer_id, paid_cents FROM cashback_payouts WHERE status = 'credited'")
    )
    moved = _rows(connection, "SELECT user_discord_id, amount_cents FROM wallet_transactions")
    if sorted(moved) != sorted(credited.items()):
        yield f"the wallet transactions {sorted(moved)} are not the credited payouts {sorted(credited.items())}"
    for person, cents in credited.items():
        if expected.credited_cents.get(person) != cents:
            yield f"{person} was paid {cents} cents, expected were {expected.credited_cents.get(person)}"
    balances = _rows(connection, "SELECT discord_id, wallet_balance_cents FROM users WHERE wallet_balance_cents <> 0")
    if dict(balances) != credited:
        yield f"the balances {balances} are not what was credited {credited}"
    left = _rows(
        connection,
        "SELECT referrer_user_id, CAST(sum(cashback_earned_cents) AS BIGINT), CAST(sum(cashback_paid_cents) AS BIGINT)"
        " FROM referrals GROUP BY 1",
    )
    for person, earned, paid in left:
        if earned != expected.planned_cents[person] or paid != credited.get(person, 0):
            yield f"the referrals of {person} earned {earned} cents and {paid} are marked as paid"
    queued = _rows(connection, "SELECT user_id FROM cashback_notifications")
    if sorted(queued) != [(person,) for person in sorted(credited)]:
        yield f"direct messages are queued for {sorted(queued)}, credited were {sorted(credited)}"
    for action, count in _audited(connection).items():
        if count > AUDITED[origin][action]:
            yield f"the audit log has {action} {count} times"


def _wrong_messages(connection: Raw, sends: Sends) -> Iterator[str]:
    """Check the outbox for "at least once", and "at most once" outside the window between a send and its mark.

    A message may be sent again only if it was in flight when its sender died. Sends are marked in their order, so those
    in flight are among the last few of a process.
    """
    marked = {row[0] for row in _rows(connection, "SELECT id FROM cashback_notifications WHERE status = 'sent'")}
    sent = {line[0] for line in sends.lines}
    if marked - sent:
        yield f"the direct messages {marked - sent} are marked as sent and were not"
    sends_of_life: dict[int, list[int]] = {}
    for notification, _, life in sends.lines:
        sends_of_life.setdefault(life, []).append(notification)
    in_flight = {life: set(notifications[-MAX_IN_FLIGHT:]) for life, notifications in sends_of_life.items()}
    before: dict[int, int] = {}
    for notification, _, life in sends.lines:
        earlier = before.get(notification)
        if earlier is not None and (earlier == life or notification not in in_flight[earlier]):
            yield f"direct message {notification} was sent again outside the window"
        before[notification] = life
    # Earlier deaths count too: a message in flight at one death may wait for its mark over several more.
    forgotten = {notification for notification in sent - marked if notification not in in_flight[before[notification]]}
    if forgotten:
        yield f"the direct messages {forgotten} were sent and are not marked, and were not in flight at a death"
    if len({(notification, nonce) for notification, nonce, _ in sends.lines}) != len(sent):
        yield "a direct message was sent again with another nonce"


def _unfinished(connection: Raw, expected: Expected, origin: Origin, sends: Sends) -> Iterator[str]:
    """Find what a victim that ended by itself has left undone."""
    credited: dict[int, int] = dict(
        _rows(connection, "SELECT referrer_id, paid_cents FROM cashback_payouts WHERE status = 'credited'")
    )
    if credited != expected.credited_cents:
        yield f"credited is {credited}, expected was {expected.credited_cents}"
    others = _rows(
        connection, "SELECT referrer_id, status FROM cashback_payouts WHERE status <> 'credited' ORDER BY referrer_id"
    )
    if others != expected.unpaid:
        yield f"not credited are {others}"
    # Whatever its number: a server's numbering skips numbers that were rolled back.
    batches = _rows(connection, "SELECT status FROM cashback_payout_batches")
    if batches != [("completed" if expected.is_mended else "completed_with_failures",)]:
        yield f"the batches are {batches}"
    counted = _audited(connection)
    if counted not in (AUDITED[origin], AUDITED[origin] - TOO_LATE):
        yield f"the audit log holds {dict(counted)}"
    people = {nonce.split(":")[1] for _, nonce, _ in sends.lines}
    states = Counter(row[0] for row in _rows(connection, "SELECT status FROM cashback_notifications"))
    if people != set(map(str, expected.notified)) or states != Counter(sent=len(expected.notified), muted=1):
        yield f"direct messages reached {sorted(people)}, the outbox holds {dict(states)}"
