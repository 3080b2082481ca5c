"""The effect of each commit on the ledger model.

A commit is identified by the function that wrote it. Functions not listed here are assumed to move no money and to
decide nothing: if that is wrong, rows and model differ from then on.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from cashback.database.payouts import runs
from cashback.database.referral_program import purchases, refunds
from cashback.domain.model import BatchLimits, BatchStatus, PayoutStatus, SlotStatus
from verification.simulation.faulty_ledger import Committed
from verification.simulation.ledger_model import BROKEN, Batch, LedgerModel, Payout, Purchase, Reversal
from verification.simulation.wallet_updates import WALLET_HANDLERS

Handler = Callable[[LedgerModel, Committed], None]


def _refer(model: LedgerModel, done: Committed) -> None:
    model.refer([(done.arguments["referrer_id"], done.arguments["referred_id"])], done.arguments["now"])


def _refer_many(model: LedgerModel, done: Committed) -> None:
    model.refer(done.arguments["pairs"], done.arguments["now"])


def _buy(model: LedgerModel, done: Committed) -> None:
    order = done.arguments["purchase"].order_id
    earned = model.buy(order, _purchase(done, done.arguments["purchase"]))
    model.require(earned == done.result, f"order {order} earned {done.result} cents, it must be {earned}")


def _purchase(done: Committed, bought: purchases.Purchase) -> Purchase:
    now: datetime = done.arguments["now"]
    held = timedelta(days=done.arguments["holding_days"])
    payable_at = (bought.purchased_at or now) + held if held else None
    return Purchase(
        bought.buyer_id, bought.amount_cents, done.arguments["rate_ppm"], payable_at, bought.order_id, recorded_at=now
    )


def _buy_many(model: LedgerModel, done: Committed) -> None:
    for bought, told in zip(done.arguments["purchases"], done.result, strict=True):
        earned = model.buy(bought.order_id, _purchase(done, bought))
        model.require(
            (earned or 0) == told.earned_cents,
            f"order {bought.order_id} earned {told.earned_cents} cents, it must be {earned}",
        )


def _refund(model: LedgerModel, done: Committed) -> None:
    told = done.result
    taken = model.refund(told.order_id, told.refund_id, told.amount_cents, done.arguments["now"])
    fresh = told.outcome is not refunds.RefundOutcome.REPEATED
    model.require(
        not fresh or taken == told.taken_cents,
        f"refund {told.refund_id} took {told.taken_cents} cents back, it must be {taken}",
    )


def _note_absence(model: LedgerModel, done: Committed) -> None:
    if done.result:
        model.absent[done.arguments["user_id"]] = done.arguments["kind"]


def _note_return(model: LedgerModel, done: Committed) -> None:
    model.absent.pop(done.arguments["user_id"], None)


def _bar(model: LedgerModel, done: Committed) -> None:
    model.barred.add(done.arguments["user_id"])


def _forgive(model: LedgerModel, done: Committed) -> None:
    model.barred.discard(done.arguments["user_id"])


def _mark_paid(model: LedgerModel, done: Committed) -> None:
    for one, share in model.take(done.arguments["referrer_id"], done.arguments["amount_cents"], done.arguments["now"]):
        one.elsewhere += share


def _propose(model: LedgerModel, done: Committed) -> None:
    wanted, summary = done.arguments, done.result
    model.count_waiting()
    payouts = model.plan(
        wanted["now"],
        target=wanted["target_user_id"],
        least=wanted["min_payout_cents"],
        hold_leavers=wanted["hold_leavers"],
    )
    total = sum(payout.approved for payout in payouts.values())
    model.require(
        (summary.users, summary.total_cents) == (len(payouts), total),
        f"the summary of batch {summary.batch_number} shows {summary.users} payouts of {summary.total_cents} cents in"
        f" all, pending are {len(payouts)} of {total}",
    )
    needs_two = _needs_two(payouts, wanted["terms"])
    model.batches[summary.batch_number] = Batch(
        wanted["actor"], wanted["expires_at"], payouts, summary.token, needs_two=needs_two
    )


def _needs_two(payouts: Mapping[int, Payout], terms: BatchLimits) -> bool:
    threshold = terms.approval_threshold_cents
    return threshold is not None and sum(payout.approved for payout in payouts.values()) >= threshold


def _require_message(model: LedgerModel, done: Committed, token: str) -> None:
    """Check that the message whose button was pressed showed this very proposal; no token means no message."""
    carried = done.arguments["token"]
    model.require(carried in {None, token}, f"an old message decided {done.function} of {done.arguments['number']}")


def _approve(model: LedgerModel, done: Committed) -> None:
    told = done.arguments
    _require_message(model, done, model.batches[told["number"]].token)
    approved = model.approve(told["number"], told["actor"], told["now"], wait=told["wait"], valid=told["valid"])
    model.require(approved == (done.result is not None), f"an approval of batch {told['number']} gave {done.result}")


def _cancel(model: LedgerModel, done: Committed) -> None:
    batch = model.batches[done.arguments["number"]]
    _require_message(model, done, batch.token)
    model.require(batch.status is BatchStatus.PROPOSED, f"a batch was cancelled that is {batch.status}")
    batch.status = BatchStatus.CANCELLED


def _expire(model: LedgerModel, done: Committed) -> None:
    for number in done.result:
        batch = model.batches[number]
        overdue = batch.status is BatchStatus.PROPOSED and (batch.expires_at or done.arguments["now"])
        model.require(
            bool(overdue) and overdue <= done.arguments["now"], f"batch {number} expired, it is {batch.status}"
        )
        batch.status = BatchStatus.EXPIRED


def _start(model: LedgerModel, done: Committed) -> None:
    batch = model.batches[done.arguments["number"]]
    may = batch.status in {BatchStatus.APPROVED, BatchStatus.RUNNING}
    started = done.result is runs.Start.RUNNING
    model.require(started == may, f"a batch that is {batch.status} was started: {done.result}")
    if started:
        model.require_valid(done.arguments["number"], done.arguments["now"])
        batch.status = BatchStatus.RUNNING


def _lapse(model: LedgerModel, done: Committed) -> None:
    lapsed = model.lapse(done.arguments["now"])
    model.require(done.result == lapsed, f"the approvals of {done.result} lapsed, those of {lapsed} have")


def _credit(model: LedgerModel, done: Committed) -> None:
    chunk, credited = done.arguments["chunk"], done.result
    expected = model.credit(chunk.batch_number, chunk.first_referrer_id, chunk.last_referrer_id, done.arguments["now"])
    told = (credited.credited, credited.credited_cents, credited.skipped)
    model.require(told == expected, f"a chunk credited (payouts, cents, skipped) {told}, it must be {expected}")


def _fail(model: LedgerModel, done: Committed) -> None:
    number, person, reason = (done.arguments[name] for name in ("batch_number", "referrer_id", "reason"))
    payout = model.batches[number].payouts[person]
    model.require(BROKEN in reason, f"batch {number}'s payout to {person} failed without a broken wallet: {reason}")
    if payout.status is PayoutStatus.PLANNED:
        payout.status, payout.reason = PayoutStatus.FAILED, reason


def _finish(model: LedgerModel, done: Committed) -> None:
    model.finish(done.arguments["number"])


def _stop(model: LedgerModel, done: Committed) -> None:
    batch = model.batches[done.arguments["number"]]
    stoppable = batch.status in {BatchStatus.APPROVED, BatchStatus.RUNNING}
    model.require(stoppable, f"a batch was stopped that is {batch.status}")
    batch.status = BatchStatus.STOPPED


def _resume(model: LedgerModel, done: Committed) -> None:
    batch = model.batches[done.arguments["number"]]
    model.require(batch.status is BatchStatus.STOPPED, f"a batch was resumed that is {batch.status}")
    model.require_valid(done.arguments["number"], done.arguments["now"])
    batch.status = BatchStatus.RUNNING


def _abandon(model: LedgerModel, done: Committed) -> None:
    number = done.arguments["number"]
    before = model.batches[number].status
    given_up = {BatchStatus.STOPPED: PayoutStatus.PLANNED, BatchStatus.COMPLETED_WITH_FAILURES: PayoutStatus.FAILED}
    model.require(before in given_up, f"the rest of batch {number} was given up, it is {before}")
    if before in given_up:
        model.settle_rest(number, given_up[before])


def _retry(model: LedgerModel, done: Committed) -> None:
    batch = model.batches[done.arguments["number"]]
    failed = [one for one in batch.payouts.values() if one.status is PayoutStatus.FAILED]
    may = batch.status is BatchStatus.COMPLETED_WITH_FAILURES and len(failed) == done.result
    model.require(may, f"{done.result} payouts are retried, failed are {len(failed)}, the batch is {batch.status}")
    model.require_valid(done.arguments["number"], done.arguments["now"])
    batch.status = BatchStatus.RUNNING
    for one in failed:
        one.status, one.reason = PayoutStatus.PLANNED, None


# Reversals.


def _propose_reversal(model: LedgerModel, done: Committed) -> None:
    told, wanted = done.result, done.arguments
    payouts = model.reversible(wanted["batch_number"], wanted["referrer_id"], wanted["now"])
    cents = sum(payouts.values())
    model.require(
        (told.planned_count, told.planned_cents) == (len(payouts), cents) and cents > 0,
        f"reversal {told.number} shows {told.planned_count} payouts of {told.planned_cents} cents, there are"
        f" {len(payouts)} of {cents}",
    )
    threshold = wanted["terms"].approval_threshold_cents
    model.reversals[told.number] = Reversal(
        wanted["batch_number"],
        wanted["referrer_id"],
        wanted["actor"],
        wanted["expires_at"],
        needs_two=threshold is not None and cents >= threshold,
        token=told.token,
    )


def _approve_reversal(model: LedgerModel, done: Committed) -> None:
    number, actor, now = done.arguments["number"], done.arguments["actor"], done.arguments["now"]
    one = model.reversals[number]
    _require_message(model, done, one.token)
    model.require(one.is_open and now < one.expires_at, f"reversal {number} was approved too late, or twice")
    others = {one.proposed_by, one.first_approved_by}
    may = actor == one.proposed_by if one.first_approved_by is None else actor not in others
    model.require(may, f"reversal {number} was approved by {actor}, who may not")
    if one.needs_two and one.first_approved_by is None:
        one.first_approved_by, one.expires_at = actor, now + done.arguments["wait"]
        return
    expected = model.take_back(one, now)
    told = (done.result.reversed_cents, done.result.shortfall_cents)
    model.require(told == expected, f"reversal {number} took (cents, not there) {told}, it must be {expected}")


def _cancel_reversal(model: LedgerModel, done: Committed) -> None:
    one = model.reversals[done.arguments["number"]]
    _require_message(model, done, one.token)
    one.is_open = False


# The schedule.


def _pay_slot(model: LedgerModel, done: Committed) -> None:
    slot_at, number, now = done.arguments["slot_at"], done.result, done.arguments["now"]
    if slot_at in model.slots:
        model.require(number is None, f"the slot of {slot_at} got batch {number}, it was {model.slots[slot_at]}")
        return
    model.require(slot_at <= (model.latest or now), f"the slot of {slot_at} was decided at {now}")
    if not model.paused:
        model.count_waiting()
    payouts = model.plan(now, least=done.arguments["min_payout_cents"], hold_leavers=done.arguments["hold_leavers"])
    if model.paused or not payouts:
        model.require(number is None, f"the slot of {slot_at} got batch {number}, with nothing to pay or in a pause")
        model.slots[slot_at] = (SlotStatus.SKIPPED if model.paused else SlotStatus.NOTHING_PENDING, None)
        return
    model.require(number is not None, f"the slot of {slot_at} got no batch, {len(payouts)} payouts are pending")
    if number is not None:
        model.slots[slot_at] = (SlotStatus.BATCHED, number)
        terms: BatchLimits = done.arguments["terms"]
        needs_two = _needs_two(payouts, terms)
        model.batches[number] = Batch("schedule", None, payouts, done.arguments["token"], needs_two=needs_two)
        model.entitled.add(("schedule", number))
        wait, valid = timedelta(hours=terms.approval_hours), timedelta(days=terms.approval_valid_days)
        model.approve(number, "schedule", now, wait=wait, valid=valid)


def _decide_slot(model: LedgerModel, done: Committed) -> None:
    slot_at = done.arguments["slot_at"]
    model.require(
        done.result == (slot_at not in model.slots), f"the slot of {slot_at} was decided twice: {done.result}"
    )
    model.slots.setdefault(slot_at, (done.arguments["status"], None))


def _correct_schedule(model: LedgerModel, done: Committed) -> None:
    for slot_at in done.result.slots:
        del model.slots[slot_at]


def _skip_slot(model: LedgerModel, done: Committed) -> None:
    slot_at = done.arguments["slot_at"]
    model.require(slot_at not in model.slots, f"the slot of {slot_at} was skipped, it was decided already")
    model.slots[slot_at] = (SlotStatus.SKIPPED, None)


def _pause(model: LedgerModel, _done: Committed) -> None:
    model.paused = True


def _unpause(model: LedgerModel, _done: Committed) -> None:
    model.paused = False


HANDLERS: Final[dict[str, Handler]] = {
    "referrals.create_referral": _refer,
    "referrals.create_referrals": _refer_many,
    "purchases.log_purchase": _buy,
    "purchases.record_purchases": _buy_many,
    "refunds.record_refund": _refund,
    "absences.note": _note_absence,
    "absences.note_return": _note_return,
    "blacklist.blacklist": _bar,
    "blacklist.unblacklist": _forgive,
    "pending.mark_paid": _mark_paid,
    "proposals.propose": _propose,
    "approvals.approve": _approve,
    "proposals.cancel": _cancel,
    "proposals.expire": _expire,
    "runs.start": _start,
    "lapsing.lapse_due": _lapse,
    "crediting.credit_chunk": _credit,
    "crediting.fail_payout": _fail,
    "runs.finish": _finish,
    "runs.stop": _stop,
    "runs.resume": _resume,
    "runs.abandon": _abandon,
    "retries.begin": _retry,
    "reversals.propose": _propose_reversal,
    "reversals.approve": _approve_reversal,
    "reversals.cancel": _cancel_reversal,
    "slots.pay": _pay_slot,
    "slots.decide": _decide_slot,
    "slots.skip": _skip_slot,
    "corrections.apply": _correct_schedule,
    "schedule.pause": _pause,
    "schedule.resume": _unpause,
}
"""The model's update for each function that writes money or decisions into the ledger."""

TAKING: Final = {"refunds.record_refund", "crediting.credit_chunk", "reversals.approve", "pending.mark_paid"}
"""The functions that pay cashback or take it back."""


def enter(model: LedgerModel, done: Committed) -> None:
    """Apply a commit to the model."""
    handler = HANDLERS.get(done.function) or WALLET_HANDLERS.get(done.function)
    if handler is not None:
        handler(model, done)
        if done.function in TAKING:
            model.judge_shares(done.arguments["now"])
