"""The intake's answers: the result of each purchase or refund."""

import json
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from cashback.dashboard.intake_schema import Reported
from cashback.dashboard.problems import (
    CONFLICTING,
    NOT_DONE,
    NOT_KNOWN_YET,
    NOTHING_LEFT,
    TOO_MUCH,
    Kind,
    problem,
)
from cashback.database.referral_program.purchases import Purchase, PurchaseOutcome, RecordedPurchase
from cashback.database.referral_program.refunds import Refund, RefundOutcome
from cashback.database.referral_program.shop_refunds import Answer
from cashback.database.referral_program.unmatched import UnmatchedPurchase
from cashback.domain.errors import NothingLeftError, OtherRefundError, RefundRefusedError


def purchases_response(
    reported: Reported[Purchase | UnmatchedPurchase], answers: Sequence[RecordedPurchase]
) -> web.Response:
    """Return the results of purchases, or a problem if the only one is in conflict."""
    if not reported.is_bulk and answers[0].outcome is PurchaseOutcome.CONFLICTING:
        order_id = reported.entries[0].order_id
        return problem(CONFLICTING, f"Order {order_id} was reported with another buyer or amount; nothing was changed.")
    results = [
        {"order_id": purchase.order_id, "outcome": answer.outcome, "earned_cents": answer.earned_cents}
        for purchase, answer in zip(reported.entries, answers, strict=True)
    ]
    return _results_response(results, is_bulk=reported.is_bulk)


def refunds_response(reported: Reported[Refund], answers: Sequence[Answer]) -> web.Response:
    """Return the results of refunds, or a problem if the only one was refused, or is kept for its purchase."""
    results = []
    for refund, answer in zip(reported.entries, answers, strict=True):
        kind, detail = _problem_of(answer)
        if kind is not None and kind is not TOO_MUCH and not reported.is_bulk:
            return problem(kind, detail)
        said = {} if kind is None else {"type": kind.address, "detail": detail}
        results.append({"order_id": refund.order_id, **_refund_result(refund, answer), **said})
    return _results_response(results, is_bulk=reported.is_bulk)


def _problem_of(answer: Answer) -> tuple[Kind | None, str]:
    """Return what there is to say about a refund besides its outcome."""
    if isinstance(answer, RefundRefusedError):
        if isinstance(answer, NothingLeftError):
            return NOTHING_LEFT, str(answer)
        return (CONFLICTING if isinstance(answer, OtherRefundError) else NOT_DONE), str(answer)
    if answer.outcome is RefundOutcome.KEPT:
        return NOT_KNOWN_YET, (
            f"Order {answer.order_id}, or this refund of it, is not known yet. It is kept and applied when its purchase"
            " comes; send it again later, which changes nothing if it was applied."
        )
    if answer.asked_cents is not None:
        return TOO_MUCH, (
            f"{answer.asked_cents} cents are more than was left of order {answer.order_id}; {answer.amount_cents} cents"
            " were refunded."
        )
    return None, ""


def _refund_result(refund: Refund, answer: Answer) -> dict[str, Any]:
    if isinstance(answer, RefundRefusedError):
        return {"refund_id": refund.refund_id, "outcome": "refused", "amount_cents": 0, "taken_cents": 0}
    return {
        "refund_id": answer.refund_id,
        "outcome": answer.outcome,
        "amount_cents": answer.amount_cents,
        "taken_cents": answer.taken_cents,
    }


def _results_response(results: list[dict[str, Any]], *, is_bulk: bool) -> web.Response:
    body = {"results": results} if is_bulk else results[0]
    return web.Response(body=json.dumps(body).encode(), content_type="application/json")
