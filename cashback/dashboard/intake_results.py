"""The intake's answers: the result of each purchase or refund."""

import json
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from cashback.dashboard.intake_schema import Reported
from cashback.dashboard.problems import CONFLICTING, NOT_DONE, problem
from cashback.database.referral_program.purchases import Purchase, PurchaseOutcome, RecordedPurchase
from cashback.database.referral_program.refunds import RecordedRefund, Refund
from cashback.domain.errors import RefundRefusedError


def purchases_response(reported: Reported[Purchase], answers: Sequence[RecordedPurchase]) -> web.Response:
    """Return the results of purchases, or a problem if the only one is in conflict."""
    if not reported.is_bulk and answers[0].outcome is PurchaseOutcome.CONFLICTING:
        order_id = reported.entries[0].order_id
        return problem(CONFLICTING, f"Order {order_id} was reported with another buyer or amount; nothing was changed.")
    results = [
        {"order_id": purchase.order_id, "outcome": answer.outcome, "earned_cents": answer.earned_cents}
        for purchase, answer in zip(reported.entries, answers, strict=True)
    ]
    return _results_response(results, is_bulk=reported.is_bulk)


def refunds_response(
    reported: Reported[Refund], answers: Sequence[RecordedRefund | RefundRefusedError]
) -> web.Response:
    """Return the results of refunds, or a problem if the only one was refused."""
    if not reported.is_bulk and isinstance(answers[0], RefundRefusedError):
        return problem(NOT_DONE, str(answers[0]))
    results = [
        {"refund_id": refund.refund_id, "order_id": refund.order_id, **_refund_result(answer)}
        for refund, answer in zip(reported.entries, answers, strict=True)
    ]
    return _results_response(results, is_bulk=reported.is_bulk)


def _refund_result(answer: RecordedRefund | RefundRefusedError) -> dict[str, Any]:
    if isinstance(answer, RefundRefusedError):
        return {"outcome": "refused", "amount_cents": 0, "taken_cents": 0, "detail": str(answer)}
    return {"outcome": answer.outcome, "amount_cents": answer.amount_cents, "taken_cents": answer.taken_cents}


def _results_response(results: list[dict[str, Any]], *, is_bulk: bool) -> web.Response:
    body = {"results": results} if is_bulk else results[0]
    return web.Response(body=json.dumps(body).encode(), content_type="application/json")
