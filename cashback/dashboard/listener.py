"""Accepts the dashboard's connections one at a time, so that no descriptor is taken before there is room for it."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

import anyio

from cashback.dashboard.client_address import limit_key
from cashback.dashboard.connections import SWEEP_SECONDS, Connections
from cashback.dashboard.request_log import RequestLog

BACKLOG: Final = 128
RETRY_SECONDS: Final = 0.5


class Listener:
    """Listens on all addresses of a host, and hands accepted connections to a protocol."""

    def __init__(
        self, connections: Connections, protocol: Callable[[], asyncio.BaseProtocol], request_log: RequestLog
    ) -> None:
        self._connections = connections
        self._log = request_log
        self._protocol = protocol
        self._sockets = ExitStack()

    async def bind(self, host: str, port: int) -> list[socket.socket]:
        """Bind and return the listening sockets. Raises OSError if an address cannot be bound."""
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        with ExitStack() as stack:
            bound = [stack.enter_context(_bound(family, address)) for family, _, _, _, address in dict.fromkeys(found)]
            self._sockets = stack.pop_all()
        return bound

    def close(self) -> None:
        """Stop listening."""
        self._sockets.close()

    async def accept(self, listening: socket.socket) -> None:
        """Accept connections until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, peer = await loop.sock_accept(listening)
            except OSError as error:
                # Without descriptors the connection stays in the queue; accepting at once again would fail again.
                self._log.warning("the dashboard cannot accept a connection: %s", error.strerror or error)
                await anyio.sleep(RETRY_SECONDS)
                continue
            address = limit_key(str(peer[0]))
            if self._connections.make_room(address):
                transport, _ = await loop.connect_accepted_socket(self._protocol, accepted)
                self._connections.add(transport, address)
            else:
                accepted.close()
                self._log.warning("a connection from %s was closed: too many requests are open", address)

    async def close_overdue(self) -> None:
        """Close connections that have used up their time, until cancelled."""
        while True:
            await anyio.sleep(SWEEP_SECONDS)
            if closed := self._connections.close_overdue():
                self._log.warning("connections closed because their requests took too long: %d", closed)
            self._log.report_dropped()


def _bound(family: int, address: tuple[str, int] | tuple[str, int, int, int]) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.settimeout(0)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening
