"""The intake: shops report purchases and refunds in signed requests. A repeated report changes nothing."""

import json
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any, Final, TypeVar

import anyio
from aiohttp import web

from cashback.dashboard.intake_schema import Reported, purchases_in, read_json, refunds_in
from cashback.dashboard.problems import (
    CONFLICTING,
    MEDIA_TYPE,
    NOT_DONE,
    SLOW,
    STALE,
    TOO_LARGE,
    TOO_MANY,
    UNAVAILABLE,
    UNSIGNED,
    ProblemError,
    problem,
)
from cashback.dashboard.rate_limit import RateLimit, address_of
from cashback.dashboard.signatures import Keyring, Signed
from cashback.database import Database
from cashback.database.referral_program.purchases import Purchase, PurchaseOutcome, RecordedPurchase
from cashback.database.referral_program.refunds import RecordedRefund, Refund
from cashback.domain.errors import RefundRefusedError
from cashback.services import Actor, AdminService, Source
from cashback.settings import Settings

LARGEST_BODY_BYTES: Final = 500_000
BODY_SECONDS: Final = 10
MOST_AT_ONCE: Final = 64
REFUSALS_PER_MINUTE: Final = 60

_TOO_LARGE: Final = f"The body is larger than {LARGEST_BODY_BYTES} bytes; send it in parts."

T = TypeVar("T")


class Intake:
    """Records the purchases and refunds that shops report."""

    def __init__(self, database: Database, service: AdminService, settings: Settings) -> None:
        self._database = database
        self._service = service
        self._is_proxied = settings.dashboard.is_proxied
        self._keyring = Keyring(
            {
                name: [secret.get_secret_value().encode() for secret in secrets]
                for name, secrets in settings.intake_keys.items()
            }
        )
        self._refusals = RateLimit(per_minute=REFUSALS_PER_MINUTE)
        self._open_requests = 0

    def routes(self) -> list[web.RouteDef]:
        """List the addresses."""
        return [
            web.post("/api/v1/purchases", self.report_purchases),
            web.post("/api/v1/refunds", self.report_refunds),
        ]

    async def report_purchases(self, request: web.Request) -> web.StreamResponse:
        """Record one purchase or many, in one transaction."""

        async def record(reported: Reported[Purchase], _actor: Actor) -> web.Response:
            answers = await self._service.record_purchases(reported.entries)
            return _purchases_response(reported, answers)

        return await self._process(request, lambda value: purchases_in(value, self._database.now()), record)

    async def report_refunds(self, request: web.Request) -> web.StreamResponse:
        """Record one refund or many, in one transaction."""

        async def record(reported: Reported[Refund], actor: Actor) -> web.Response:
            answers = await self._service.record_refunds(actor, reported.entries)
            return _refunds_response(reported, answers)

        return await self._process(request, refunds_in, record)

    async def _process(
        self, request: web.Request, read: Callable[[Any], T], record: Callable[[T, Actor], Awaitable[web.Response]]
    ) -> web.StreamResponse:
        """Check, read and record a request. A recorded request is remembered, so that a replay is refused."""
        if self._open_requests >= MOST_AT_ONCE:
            raise ProblemError(UNAVAILABLE, f"{MOST_AT_ONCE} requests are already open; try again in a moment.")
        self._open_requests += 1
        try:
            signed, body = await self._checked(request)
            reported = read(read_json(body))
            response = await record(reported, Actor(source=Source.SHOP, key=signed.key))
            if response.status == HTTPStatus.OK:
                self._keyring.remember(signed, self._database.now())
            return response
        finally:
            self._open_requests -= 1

    async def _checked(self, request: web.Request) -> tuple[Signed, bytes]:
        """Return the signature and the body. An address with too many refused requests is refused without a check."""
        address = address_of(request, is_proxied=self._is_proxied)
        if not self._refusals.has_left(address):
            raise ProblemError(TOO_MANY, "Too many requests from this address were refused; wait a minute.")
        try:
            signed = self._keyring.read(request.headers, self._database.now())
            body = await _body_of(request)
            self._keyring.check(signed, body)
        except ProblemError as error:
            if error.kind in {UNSIGNED, STALE}:
                self._refusals.admits(address)
            raise
        return signed, body


async def _body_of(request: web.Request) -> bytes:
    if request.content_type != "application/json":
        raise ProblemError(MEDIA_TYPE, f"The Content-Type is {request.content_type}, not application/json.")
    if (request.content_length or 0) > LARGEST_BODY_BYTES:
        raise ProblemError(TOO_LARGE, _TOO_LARGE)
    body = bytearray()
    try:
        with anyio.fail_after(BODY_SECONDS):
            async for part in request.content.iter_any():
                body += part
                if len(body) > LARGEST_BODY_BYTES:
                    raise ProblemError(TOO_LARGE, _TOO_LARGE)
    except TimeoutError as error:
        raise ProblemError(SLOW, f"The body did not arrive within {BODY_SECONDS} seconds.") from error
    return bytes(body)


def _purchases_response(reported: Reported[Purchase], answers: Sequence[RecordedPurchase]) -> web.Response:
    if not reported.is_bulk and answers[0].outcome is PurchaseOutcome.CONFLICTING:
        order_id = reported.entries[0].order_id
        return problem(CONFLICTING, f"Order {order_id} was reported with another buyer or amount; nothing was changed.")
    results = [
        {"order_id": purchase.order_id, "outcome": answer.outcome, "earned_cents": answer.earned_cents}
        for purchase, answer in zip(reported.entries, answers, strict=True)
    ]
    return _results_response(results, is_bulk=reported.is_bulk)


def _refunds_response(
    reported: Reported[Refund], answers: Sequence[RecordedRefund | RefundRefusedError]
) -> web.Response:
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
