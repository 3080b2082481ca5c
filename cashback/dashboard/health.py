"""Whether all is well, for people and for machines: `/healthz` says that the process lives, `/readyz` that it works."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import anyio
from aiohttp import web

from cashback.database import Database
from cashback.database.schedule import schedule
from cashback.domain.errors import CashbackError

LAG_SECONDS: Final = 0.5
BEAT_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that may be well or not, with a line that says how it is."""

    name: str
    is_well: bool
    text: str


class Health:
    """Looks at the ledger, at Discord's connection and at the event loop."""

    def __init__(self, database: Database, is_online: Callable[[], bool] | None) -> None:
        """Take the ledger, and who knows whether Discord is connected; None where nobody means to connect."""
        self._database = database
        self._is_online = is_online
        self.lag_seconds = 0.0

    def routes(self) -> list[web.RouteDef]:
        """List the addresses."""
        return [web.get("/healthz", self.live), web.get("/readyz", self.ready)]

    async def feel_lag(self) -> None:
        """Measure for ever how late the event loop wakes whoever sleeps."""
        while True:
            began = anyio.current_time()
            await anyio.sleep(BEAT_SECONDS)
            self.lag_seconds = max(anyio.current_time() - began - BEAT_SECONDS, 0.0)

    async def checks(self) -> list[Check]:
        """Look at everything."""
        found = [await self._ledger(), self._loop()]
        if self._is_online is not None:
            online = self._is_online()
            found.append(Check(name="Discord", is_well=online, text="connected" if online else "not connected"))
        return found

    async def _ledger(self) -> Check:
        try:
            await self._database.read(schedule.find_state)
        except CashbackError as error:
            return Check(name="LedgerPort", is_well=False, text=str(error))
        return Check(name="LedgerPort", is_well=True, text="readable")

    def _loop(self) -> Check:
        well = self.lag_seconds < LAG_SECONDS
        return Check(name="Event loop", is_well=well, text="on time" if well else f"{self.lag_seconds:.1f} s late")

    async def live(self, request: web.Request) -> web.StreamResponse:
        """Say that the process lives; an event loop that hangs does not answer."""
        return _json(HTTPStatus.OK, {"status": "ok"})

    async def ready(self, request: web.Request) -> web.StreamResponse:
        """Say whether the program works, and what does not. What is wrong is named, not told: anyone may ask."""
        checks = {check.name: "ok" if check.is_well else "failing" for check in await self.checks()}
        well = "failing" not in checks.values()
        status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
        return _json(status, {"status": "ok" if well else "failing", "checks": checks})


def _json(status: int, body: object) -> web.Response:
    return web.Response(status=status, body=json.dumps(body).encode(), content_type="application/json")
