"""The dashboard's connections: few enough to leave descriptors for Discord and the ledger, however many are opened."""

import asyncio
import resource
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import anyio
from aiohttp import web

MAX_CONNECTIONS: Final = 512
DESCRIPTOR_SHARE: Final = 2
"""The dashboard uses at most one in so many of the process's descriptors."""

ADDRESS_SHARE: Final = 4
"""One address uses at most one in so many of the connections."""

HEALTH_RESERVE: Final = 8
"""Connections and requests beyond each limit that only health checks may use."""

CLOSED_AT_ONCE: Final = 16
"""Connections without a request that are closed when a limit is reached, so that a flood does not count them all for
each of its connections."""

HEADER_SECONDS: Final = 10
"""The time for the headers of a connection's first request."""

IDLE_SECONDS: Final = 30
"""The time from one request to the headers of the next, and for the client to read a response."""

REQUEST_SECONDS: Final = 60
"""The time for one request, except for streams and downloads of signed-in members."""

SWEEP_SECONDS: Final = 1

HEALTH_PATHS: Final = ("/healthz", "/readyz")


@dataclass(slots=True, kw_only=True, eq=False)
class Connection:
    """An open connection. `since` is the start of its current request or, between requests, of the wait for the next.

    `client` is the address that its current request is counted for, `has_served` whether a request was answered without
    an error.
    """

    transport: asyncio.BaseTransport
    address: str
    since: float
    client: str | None = None
    has_served: bool = False
    is_unlimited: bool = False

    def is_overdue(self, now: float) -> bool:
        """Return whether the connection has used up its time."""
        if self.client is not None:
            return not self.is_unlimited and now - self.since > REQUEST_SECONDS
        return now - self.since > (IDLE_SECONDS if self.has_served else HEADER_SECONDS)


def max_connections() -> int:
    """Return how many connections the dashboard may hold under the process's limit of descriptors."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(min(MAX_CONNECTIONS, limit // DESCRIPTOR_SHARE - HEALTH_RESERVE), HEALTH_RESERVE)


class Connections:
    """Limits connections and open requests, in total and for each address."""

    def __init__(self, *, is_proxied: bool) -> None:
        """Behind a proxy all connections have its address, so that only their requests are counted by address."""
        self._total = max_connections()
        self._per_address = max(self._total // ADDRESS_SHARE, HEALTH_RESERVE)
        self._is_proxied = is_proxied
        self._open: dict[asyncio.BaseTransport, Connection] = {}
        self._of_address: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Connection]:
        """Forget the closed connections, and iterate over the open ones, oldest first."""
        self._open = {transport: each for transport, each in self._open.items() if not transport.is_closing()}
        self._of_address = Counter(each.address for each in self._open.values())
        return iter(list(self._open.values()))

    def make_room(self, address: str) -> bool:
        """Make room for a connection, if necessary by closing some without a request. Return False if there is none."""
        if self._is_full(address):
            # The counts include connections that were closed since the last look.
            connections = list(self)
            if self._is_full(address):
                same_address = [each for each in connections if each.address == address]
                if not _close_some_of(same_address if self._has_its_share(address) else connections):
                    return False
                # They are closed by now; without them there is room for as many without looking at all of them.
                list(self)
        self._of_address[address] += 1
        return True

    def _is_full(self, address: str) -> bool:
        return self._has_its_share(address) or len(self._open) >= self._total + HEALTH_RESERVE

    def _has_its_share(self, address: str) -> bool:
        return not self._is_proxied and self._of_address[address] >= self._per_address + HEALTH_RESERVE

    def add(self, transport: asyncio.BaseTransport, address: str) -> None:
        """Register a new connection."""
        self._open[transport] = Connection(transport=transport, address=address, since=anyio.current_time())

    def begin(self, request: web.Request, client: str) -> None:
        """Count a request whose headers have arrived. Raises HTTPServiceUnavailable if too many are open."""
        connection = self._open.get(request.transport) if request.transport else None
        if connection is None:
            return
        reserve = HEALTH_RESERVE if request.path in HEALTH_PATHS else 0
        busy = [each.client for each in self if each.client is not None]
        if len(busy) >= self._total + reserve or busy.count(client) >= self._per_address + reserve:
            raise web.HTTPServiceUnavailable(reason="Too many requests are open; try again in a moment")
        connection.client = client
        connection.since = anyio.current_time()

    def end(self, request: web.Request, status: int | None) -> None:
        """Note that a request was answered with a status, if it was: its connection waits for the next one."""
        connection = self._open.get(request.transport) if request.transport else None
        if connection is not None:
            connection.client = None
            connection.since = anyio.current_time()
            connection.has_served = status is not None and status < HTTPStatus.BAD_REQUEST
            connection.is_unlimited = False

    def lift_time_limit(self, request: web.Request) -> None:
        """Allow a signed-in member's request to last: a live page or a download."""
        connection = self._open.get(request.transport) if request.transport else None
        if connection is not None:
            connection.is_unlimited = True

    def close_overdue(self) -> int:
        """Close the connections that have used up their time; return their number."""
        now = anyio.current_time()
        overdue = [each for each in self if each.is_overdue(now)]
        for connection in overdue:
            _close(connection)
        return len(overdue)


def _close_some_of(connections: list[Connection]) -> bool:
    """Close the oldest connections that never had a request, or else one between two. Return False if all are busy."""
    waiting = sorted((each for each in connections if each.client is None), key=lambda each: each.since)
    never_served = [each for each in waiting if not each.has_served]
    for connection in never_served[:CLOSED_AT_ONCE] or waiting[:1]:
        _close(connection)
    return bool(waiting)


def _close(connection: Connection) -> None:
    if isinstance(connection.transport, asyncio.WriteTransport):
        connection.transport.abort()
