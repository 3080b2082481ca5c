"""One flood, in a process of its own: connections that are slow, silent or broken, until standard input ends."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import anyio
import anyio.to_thread

PAUSE_SECONDS: Final = 0.05
HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What each connection sends, how many there are at a time, and whether they wait for the server to close them."""

    sent: Callable[[], bytes]
    connections: int
    holds: bool


def _slow_body() -> bytes:
    headers = {
        "Host": HOST,
        "Content-Type": "application/json",
        "Content-Length": "400000",
        "Cashback-Key": "invented",
        "Cashback-Timestamp": str(int(time.time())),
        "Cashback-Signature": "v1=" + "0" * 64,
    }
    lines = "\r\n".join(f"{name}: {value}" for name, value in headers.items())
    return f"POST /api/v1/purchases HTTP/1.1\r\n{lines}\r\n\r\n{{".encode()


KINDS: Final = {
    "no flood": Kind(sent=lambda: b"", connections=0, holds=False),
    "slow bodies, invented key": Kind(sent=_slow_body, connections=64, holds=True),
    "silent connections": Kind(sent=lambda: b"", connections=1_100, holds=True),
    "half of the headers": Kind(sent=lambda: b"GET / HTTP/1.1\r\nHost: x\r\n", connections=500, holds=True),
    "broken requests": Kind(sent=lambda: b"GET / HTTP/9.9\r\nbroken\r\n\r\n", connections=20, holds=False),
    "sign-ins with guessed tokens": Kind(
        sent=lambda: b"POST /sign-in/guess HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        connections=20,
        holds=False,
    ),
}


async def flood(kind: Kind, port: int) -> int:
    """Flood until standard input ends; return the number of connections made."""
    made = 0

    async def connect_again() -> None:
        nonlocal made
        while True:
            try:
                async with await anyio.connect_tcp(HOST, port) as stream:
                    made += 1
                    await stream.send(kind.sent() or b"")
                    while kind.holds:
                        await stream.receive()
                    await stream.receive()
            except (OSError, anyio.BrokenResourceError, anyio.EndOfStream, anyio.ClosedResourceError):
                pass
            await anyio.sleep(PAUSE_SECONDS)

    async with anyio.create_task_group() as tasks:
        for number in range(kind.connections):
            tasks.start_soon(connect_again, name=f"connection {number}")
        await anyio.to_thread.run_sync(sys.stdin.read)
        tasks.cancel_scope.cancel()
    return made


if __name__ == "__main__":
    print(anyio.run(flood, KINDS[sys.argv[1]], int(sys.argv[2])))  # noqa: T201 -- its result
