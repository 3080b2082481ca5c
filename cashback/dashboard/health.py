"""Health: `/healthz` answers while the process lives, `/readyz` if it can work."""

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
    """The state of one part of the program, with a line for people."""

    name: str
    is_healthy: bool
    text: str


class Health:
    """Checks the ledger, the connection to Discord and the event loop."""

    def __init__(self, database: Database, is_online: Callable[[], bool] | None) -> None:
        """`is_online` is None if the process does not connect to Discord."""
        self._database = database
        self._is_online = is_online
        self.lag_seconds = 0.0

    def routes(self) -> list[web.RouteDef]:
        """List the addresses."""
        return [web.get("/healthz", self.live), web.get("/readyz", self.ready)]

    async def measure_lag(self) -> None:
        """Measure how late the event loop wakes a sleeping task, until cancelled."""
        while True:
            began = anyio.current_time()
            await anyio.sleep(BEAT_SECONDS)
            self.lag_seconds = max(anyio.current_time() - began - BEAT_SECONDS, 0.0)

    async def checks(self) -> list[Check]:
        """Check every part."""
        found = [await self._ledger(), self._loop()]
        if self._is_online is not None:
            online = self._is_online()
            found.append(Check(name="Discord", is_healthy=online, text="connected" if online else "not connected"))
        return found

    async def _ledger(self) -> Check:
        try:
            await self._database.read(schedule.find_state)
        except CashbackError as error:
            return Check(name="Ledger", is_healthy=False, text=str(error))
        return Check(name="Ledger", is_healthy=True, text="readable")

    def _loop(self) -> Check:
        on_time = self.lag_seconds < LAG_SECONDS
        text = "on time" if on_time else f"{self.lag_seconds:.1f} s late"
        return Check(name="Event loop", is_healthy=on_time, text=text)

    async def live(self, request: web.Request) -> web.StreamResponse:
        """Answer 200. An event loop that hangs does not answer."""
        return _json(HTTPStatus.OK, {"status": "ok"})

    async def ready(self, request: web.Request) -> web.StreamResponse:
        """Report which parts are failing. It gives no details because anyone may ask."""
        checks = {check.name: "ok" if check.is_healthy else "failing" for check in await self.checks()}
        ready = "failing" not in checks.values()
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        return _json(status, {"status": "ok" if ready else "failing", "checks": checks})


def _json(status: int, body: object) -> web.Response:
    return web.Response(status=status, body=json.dumps(body).encode(), content_type="application/json")
