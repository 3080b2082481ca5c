"""What is checked after a night: no effect twice and none lost, by the ledger and by what the local Discord shows."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from cashback.database.integrity import reconciliation
from sandbox import Message
from verification.night.scene import Night, Typed
from verification.testbed.databases import connect
from verification.testbed.findings import Losses

RECEIVED = "Referral Cashback Received"
PROCESSED = "Referral Cashback Batch Processed"


def rows(night: Night, query: str) -> list[tuple[Any, ...]]:
    """Read rows without the program."""
    with closing(connect(night.ledger.location)) as connection:
        return [tuple(row) for row in connection.execute(query).fetchall()]


def losses(night: Night) -> Losses:
    """Compare the wallets with what was earned, and the direct messages with the payouts."""
    wallets = dict(rows(night, "SELECT discord_id, wallet_balance_cents FROM users"))
    surplus = [wallets.get(each.id, 0) - night.earned[each.id] for each in night.referrers]
    return Losses(
        double_payments=sum(cents > 0 for cents in surplus),
        lost_cents=-sum(cents for cents in surplus if cents < 0),
        lost_messages=sum(count for count in _missing_messages(night).values() if count > 0),
    )


def _missing_messages(night: Night) -> Counter[int]:
    """Return for each member how many direct messages are missing; fewer than none are repeats."""
    missing: Counter[int] = Counter()
    credited = "SELECT referrer_id, count(*) FROM cashback_payouts WHERE status = 'credited' GROUP BY referrer_id"
    missing.update(dict(rows(night, credited)))
    for each in night.referrers:
        missing[each.id] -= sum(RECEIVED in message.text for message in night.sandbox.direct_messages(each.id))
    return missing


async def violations(night: Night) -> list[str]:
    """List everything that happened twice or not at all, and what the ledger's own proof finds."""
    breaches = (await night.database.read(reconciliation.verify)).breaches
    return [*breaches, *_repeated_messages(night), *_commands(night), *_slots(night), *_batches(night), *_logs(night)]


def _repeated_messages(night: Night) -> Iterator[str]:
    for member, count in _missing_messages(night).items():
        if count < 0:
            yield f"member {member} received {-count} direct messages more than payouts"


def _commands(night: Night) -> Iterator[str]:
    """Each admin typed one command, so that each has at most one answer and one entry of a kind in the audit log."""
    done = rows(
        night,
        "SELECT actor, action, count(*) FROM cashback_audit_log WHERE actor LIKE 'discord:%' GROUP BY 1, 2"
        " HAVING count(*) > 1",
    )
    typed = {f"discord:{each.admin.id}": each.text for each in night.typed}
    for actor, action, count in done:
        yield f"the command {typed.get(actor, actor)!r} has {count} entries of {action} in the audit log"
    for each in night.typed:
        if len(answers := answers_to(night, each)) > 1:
            texts = [" ".join(answer.text.split())[:80] for answer in answers]
            yield f"the command {each.text!r} has {len(answers)} answers: {texts}"


def answers_to(night: Night, typed: Typed) -> list[Message]:
    """Return what the bots have written to the command itself, not to the presses of its button."""
    of_presses = {each.id for press in typed.presses for each in [press.original, *press.followups] if each is not None}
    of_presses -= {press.message.id for press in typed.presses if press.message is not None}
    here = night.sandbox.messages(typed.channel.id)
    return [each for each in here if each.author_id == night.sandbox.bot_user_id and each.id not in of_presses]


def _slots(night: Night) -> Iterator[str]:
    """Each week that passed has its batch, although the clocks were wrong, and no other week has anything."""
    decided = rows(night, "SELECT slot_at, status FROM cashback_schedule_slots ORDER BY slot_at")
    expected = [f"{slot:%Y-%m-%d %H:%M}" for slot in night.slots]
    found = [str(slot_at)[:16] for slot_at, _ in decided]
    if found != expected:
        yield f"the slots {found} were decided, not {expected}"
    for slot_at, status in decided:
        if status not in {"batched", "nothing_pending"}:
            yield f"the slot of {slot_at} is {status}"


def _batches(night: Night) -> Iterator[str]:
    """Each batch that ended is posted in the audit channel once."""
    posts = [each.text for each in night.sandbox.messages(night.audit_channel) if PROCESSED in each.text]
    ended = "SELECT batch_id FROM cashback_payout_batches WHERE status LIKE 'completed%'"
    for (batch_id,) in rows(night, ended):
        if (count := sum(str(batch_id) in text for text in posts)) != 1:
            yield f"batch {batch_id} is posted {count} times in the audit channel"


def _logs(night: Night) -> Iterator[str]:
    for number, bot in enumerate(night.bots):
        if count := bot.tracebacks():
            yield f"the log of bot {number} has {count} tracebacks"
