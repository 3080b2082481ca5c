"""Accepts the dashboard's connections a few at a time, so that no descriptor is taken before there is room for it."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Final

import anyio

from cashback.dashboard.client_address import limit_key
from cashback.dashboard.connections import SWEEP_SECONDS, Connections
from cashback.dashboard.request_log import RequestLog

BACKLOG: Final = 4096
"""Connections that the kernel keeps until they are accepted, fewer if its own limit (`somaxconn`) is lower. Beyond it a
client's attempts are dropped, and repeated only after one, three and seven seconds."""

ACCEPTED_AT_ONCE: Final = 16
"""Connections accepted in one turn of the event loop. A turn costs more than a connection while threads are busy."""

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
        while True:
            await anyio.wait_readable(listening)
            async with anyio.create_task_group() as tasks:
                try:
                    for accepted, address in self._admitted(listening):
                        tasks.start_soon(self._serve, accepted, address, name="new dashboard connection")
                except OSError as error:
                    # Without descriptors the connection stays in the queue; accepting at once again would fail again.
                    self._log.warning("the dashboard cannot accept a connection: %s", error.strerror or error)
                    await anyio.sleep(RETRY_SECONDS)

    def _admitted(self, listening: socket.socket) -> Iterator[tuple[socket.socket, str]]:
        """Accept the connections that wait, up to a number, and close those without room. Raises OSError."""
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                accepted, peer = listening.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            accepted.setblocking(False)  # noqa: FBT003 -- the name in socket
            address = limit_key(str(peer[0]))
            if self._connections.make_room(address):
                yield accepted, address
            else:
                accepted.close()
                self._log.warning("a connection from %s was closed: too many requests are open", address)

    async def _serve(self, accepted: socket.socket, address: str) -> None:
        transport, _ = await asyncio.get_running_loop().connect_accepted_socket(self._protocol, accepted)
        self._connections.add(transport, address)

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
