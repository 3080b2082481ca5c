"""The intake of shops: each shop's own deliveries, verified before they are read, and recorded once."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import web

from cashback.dashboard.client_address import address_of
from cashback.dashboard.intake import MAX_RECORDING, REFUSALS_PER_MINUTE, Bodies
from cashback.dashboard.problems import (
    NOT_FOUND,
    STALE,
    TOO_MANY,
    UNAVAILABLE,
    UNREADABLE,
    UNVERIFIED,
    ProblemError,
)
from cashback.dashboard.rate_limit import RateLimit
from cashback.database import Database
from cashback.database.shops.deliveries import Recorded
from cashback.services import AdminService
from cashback.settings import Settings, ShopSettings, shop_variable
from cashback.shops.every_kind import webhook_kinds
from cashback.shops.webhooks.kind import Counts, Delivery, Reading, StaleError, UnreadableError, UnverifiedError

PATH: Final = "/api/v1/shops/"

logger = logging.getLogger(__name__)


class ShopIntake:
    """Records the deliveries of the shops in the configuration."""

    def __init__(self, database: Database, service: AdminService, settings: Settings) -> None:
        self._database = database
        self._service = service
        self._shops: Mapping[str, ShopSettings] = settings.shops
        self._secrets = {
            name: [secret.get_secret_value().encode() for secret in secrets]
            for name, secrets in settings.shop_secrets.items()
        }
        self._address = settings.dashboard.address
        self._trusted_proxies = settings.dashboard.proxies
        self._refusals = RateLimit(per_minute=REFUSALS_PER_MINUTE)
        self._bodies = Bodies()
        self._recording = 0

    def routes(self) -> list[web.RouteDef]:
        """List the addresses."""
        return [web.post(f"{PATH}{{shop}}", self.receive)]

    async def receive(self, request: web.Request) -> web.StreamResponse:
        """Verify, read and record a delivery."""
        name = request.match_info["shop"]
        shop = self._shops.get(name)
        if shop is None:
            raise ProblemError(NOT_FOUND, f"There is no shop {name[:40]!r} in the configuration.")
        delivery = await self._verified(request, name, shop)
        if delivery is None:
            return web.Response()
        # Slots come last: a request without proof must not keep a shop's delivery waiting.
        if self._recording >= MAX_RECORDING:
            raise ProblemError(UNAVAILABLE, f"{MAX_RECORDING} requests are already being recorded; try again.")
        self._recording += 1
        try:
            return await self._record(delivery, name, shop)
        finally:
            self._recording -= 1

    async def _verified(self, request: web.Request, name: str, shop: ShopSettings) -> Delivery | None:
        """Return a delivery that has proved where it comes from; None for a greeting, which no shop signs."""
        source = f"{address_of(request, trusted_proxies=self._trusted_proxies)} {name}"
        if not self._refusals.has_left(source):
            raise ProblemError(TOO_MANY, "Too many deliveries from this address were refused; wait a minute.")
        kind = webhook_kinds()[shop.kind]
        delivery = Delivery(
            headers={key.lower(): value for key, value in request.headers.items()},
            body=await self._bodies.read(request),
            now=self._database.now(),
            url=f"{self._address}{PATH}{name}",
            query=request.query,
        )
        if name not in self._secrets:
            raise ProblemError(UNVERIFIED, f"Shop {name} has no secret here; set {shop_variable(name)}.")
        try:
            kind.verify(delivery, self._secrets[name])
        except UnverifiedError as error:
            if kind.greeting is not None and kind.greeting(delivery):
                return None
            self._refusals.admits(source)
            logger.warning("a delivery to shop %s was refused: %s", name, error)
            raise ProblemError(STALE if isinstance(error, StaleError) else UNVERIFIED, str(error)) from error
        return delivery

    async def _record(self, delivery: Delivery, name: str, shop: ShopSettings) -> web.Response:
        try:
            reading = webhook_kinds()[shop.kind].read(delivery, Counts(shop.amount))
        except UnreadableError as error:
            await self._service.record_delivery(
                name, body=delivery.body, topic="unreadable", remark=str(error), is_unreadable=True
            )
            logger.warning("a delivery of shop %s cannot be read: %s", name, error)
            raise ProblemError(UNREADABLE, str(error)) from error
        recorded = await self._service.record_delivery(
            name,
            body=delivery.body,
            topic=reading.topic,
            event_id=reading.event_id,
            events=reading.events,
            remark=reading.remark,
        )
        return _answer(reading, recorded)


def _answer(reading: Reading, recorded: Recorded) -> web.Response:
    said = {"outcome": recorded.outcome, "reason": recorded.reason}
    body = reading.answer or json.dumps(said).encode()
    return web.Response(body=body, status=HTTPStatus.OK, content_type="application/json")
