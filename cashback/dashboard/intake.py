"""The intake: shops report purchases and refunds in signed requests. A repeated report changes nothing."""

import hashlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final, TypeVar

import anyio
from aiohttp import web

from cashback.dashboard.client_address import address_of
from cashback.dashboard.intake_results import purchases_response, refunds_response
from cashback.dashboard.intake_schema import Reported, purchases_in, read_json, refunds_in
from cashback.dashboard.problems import (
    INVALID,
    MEDIA_TYPE,
    SLOW,
    STALE,
    TOO_LARGE,
    TOO_MANY,
    UNAVAILABLE,
    UNSIGNED,
    ProblemError,
)
from cashback.dashboard.rate_limit import RateLimit
from cashback.dashboard.signatures import KEY_HEADER, Keyring, Signed
from cashback.database import Database
from cashback.database.referral_program.purchases import Purchase
from cashback.database.referral_program.refunds import Refund
from cashback.database.referral_program.unmatched import UnmatchedPurchase
from cashback.services import Actor, AdminService, Source
from cashback.settings import Settings

LARGEST_BODY_BYTES: Final = 500_000
BODY_SECONDS: Final = 10
MAX_READING: Final = 64
MAX_RECORDING: Final = 256
"""Signed requests that wait for the ledger: at 50 a second, it may stand still for five seconds."""
REFUSALS_PER_MINUTE: Final = 60

_TOO_LARGE: Final = f"The body is larger than {LARGEST_BODY_BYTES} bytes; send it in parts."

T = TypeVar("T")


class Intake:
    """Records the purchases and refunds that shops report."""

    def __init__(self, database: Database, service: AdminService, settings: Settings) -> None:
        self._database = database
        self._service = service
        self._trusted_proxies = settings.dashboard.proxies
        self._keyring = Keyring(
            {
                name: [secret.get_secret_value().encode() for secret in secrets]
                for name, secrets in settings.intake_keys.items()
            }
        )
        self._refusals = RateLimit(per_minute=REFUSALS_PER_MINUTE)
        self._bodies = Bodies()
        self._recording = 0

    def routes(self) -> list[web.RouteDef]:
        """List the addresses."""
        return [
            web.post("/api/v1/purchases", self.report_purchases),
            web.post("/api/v1/refunds", self.report_refunds),
        ]

    async def report_purchases(self, request: web.Request) -> web.StreamResponse:
        """Record one purchase or many, in one transaction."""

        async def record(reported: Reported[Purchase | UnmatchedPurchase], actor: Actor, digest: str) -> web.Response:
            await self._refuse_strangers(reported)
            answers = await self._service.record_reported(actor, reported.entries, digest=digest)
            return purchases_response(reported, answers)

        return await self._process(request, lambda value: purchases_in(value, self._database.now()), record)

    async def _refuse_strangers(self, reported: Reported[Purchase | UnmatchedPurchase]) -> None:
        """Raise ProblemError for the first buyer whose id the ledger does not know and no account can have."""
        buyers = {purchase.buyer_id for purchase in reported.entries if isinstance(purchase, Purchase)}
        strangers = await self._service.strangers_among(buyers)
        for place, purchase in enumerate(reported.entries):
            if isinstance(purchase, Purchase) and purchase.buyer_id in strangers:
                raise ProblemError(
                    INVALID,
                    f"buyer_id {purchase.buyer_id} {strangers[purchase.buyer_id]}.",
                    pointer=f"/purchases/{place}/buyer_id" if reported.is_bulk else "/buyer_id",
                )

    async def report_refunds(self, request: web.Request) -> web.StreamResponse:
        """Record one refund or many, in one transaction."""

        async def record(reported: Reported[Refund], actor: Actor, digest: str) -> web.Response:
            answers = await self._service.record_refunds(actor, reported.entries, digest=digest)
            return refunds_response(reported, answers)

        return await self._process(request, refunds_in, record)

    async def _process(
        self, request: web.Request, read: Callable[[Any], T], record: Callable[[T, Actor, str], Awaitable[web.Response]]
    ) -> web.StreamResponse:
        """Check, read and record a request. A recorded request is remembered, so that a replay is refused."""
        signed, body = await self._checked(request)
        # Slots come last: a request without a valid signature must not keep a shop's request waiting.
        if self._recording >= MAX_RECORDING:
            raise ProblemError(UNAVAILABLE, f"{MAX_RECORDING} requests are already being recorded; try again.")
        self._recording += 1
        try:
            reported = read(read_json(body))
            digest = hashlib.sha256(body).hexdigest()
            response = await record(reported, Actor(source=Source.SHOP, key=signed.key), digest)
            if response.status == HTTPStatus.OK:
                self._keyring.remember(signed, self._database.now())
            return response
        finally:
            self._recording -= 1

    async def _checked(self, request: web.Request) -> tuple[Signed, bytes]:
        """Return the signature and the body. A source with too many refused requests is refused without a check."""
        source = self._source_of(request)
        if not self._refusals.has_left(source):
            raise ProblemError(TOO_MANY, "Too many requests from this address were refused; wait a minute.")
        try:
            signed = self._keyring.read(request.headers, self._database.now())
            body = await self._bodies.read_json(request)
            self._keyring.check(signed, body)
        except ProblemError as error:
            if error.kind in {UNSIGNED, STALE}:
                self._refusals.admits(source)
            raise
        return signed, body

    def _source_of(self, request: web.Request) -> str:
        """Return what refusals are counted for: the address and its key, so that guesses do not lock out a shop."""
        key = request.headers.get(KEY_HEADER, "")
        known = key if self._keyring.knows(key) else ""
        return f"{address_of(request, trusted_proxies=self._trusted_proxies)} {known}"


class Bodies:
    """Reads bodies, a limited number at a time. If there are too many, the one that takes longest is abandoned."""

    def __init__(self) -> None:
        self._reading: dict[anyio.CancelScope, None] = {}

    async def read_json(self, request: web.Request) -> bytes:
        """Read the body of a request that says that it is JSON. Raises ProblemError."""
        if request.content_type != "application/json":
            raise ProblemError(MEDIA_TYPE, f"The Content-Type is {request.content_type}, not application/json.")
        return await self.read(request)

    async def read(self, request: web.Request) -> bytes:
        """Read the body of a request. Raises ProblemError."""
        if (request.content_length or 0) > LARGEST_BODY_BYTES:
            raise ProblemError(TOO_LARGE, _TOO_LARGE)
        if len(self._reading) >= MAX_READING:
            oldest = next(iter(self._reading))
            del self._reading[oldest]
            oldest.cancel()
        with anyio.move_on_after(BODY_SECONDS) as scope:
            self._reading[scope] = None
            try:
                return await _content_of(request)
            finally:
                self._reading.pop(scope, None)
        if anyio.current_time() >= scope.deadline:
            raise ProblemError(SLOW, f"The body did not arrive within {BODY_SECONDS} seconds.")
        raise ProblemError(UNAVAILABLE, "Too many bodies arrive at the same time; try again in a moment.")


async def _content_of(request: web.Request) -> bytes:
    body = bytearray()
    async for part in request.content.iter_any():
        body += part
        if len(body) > LARGEST_BODY_BYTES:
            raise ProblemError(TOO_LARGE, _TOO_LARGE)
    return bytes(body)
