"""The shop during the flood, in a process of its own: signed reports at a fixed pace, and how they were answered."""

import json
import sys
from typing import Final

import aiohttp
import anyio

from verification.bench.dashboard_server import signed

PER_SECOND: Final = 50
PATIENCE_SECONDS: Final = 600
"""Long, so that a slow machine is only slow: what counts is that each request is answered while the flood lasts."""

OWN_ADDRESS: Final = "127.0.0.2"


async def report(address: str, buyer_id: str, per_second: int, seconds: float) -> dict[str, float]:
    """Report purchases for so many seconds; return how many there were, how many were answered, and the slowest 1%."""
    took: list[float] = []
    sent = int(seconds * per_second)
    timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
    # A shop is another machine than the one that floods.
    connector = aiohttp.TCPConnector(local_addr=(OWN_ADDRESS, 0))
    async with (
        aiohttp.ClientSession(timeout=timeout, connector=connector) as session,
        anyio.create_task_group() as tasks,
    ):

        async def send(number: int) -> None:
            body, headers = signed({"order_id": f"order-{number}", "buyer_id": buyer_id, "amount_cents": 1_999})
            began = anyio.current_time()
            try:
                async with session.post(f"{address}/api/v1/purchases", data=body, headers=headers) as answer:
                    await answer.read()
                    if answer.ok:
                        took.append(anyio.current_time() - began)
            except (aiohttp.ClientError, TimeoutError):
                # It counts as not answered.
                return

        start = anyio.current_time()
        for number in range(sent):
            await anyio.sleep(max(start + number / per_second - anyio.current_time(), 0))
            tasks.start_soon(send, number)
    slowest = sorted(took)[int(len(took) * 0.99)] if took else float("inf")
    return {"sent": sent, "answered": len(took), "slowest_seconds": slowest}


if __name__ == "__main__":
    found = anyio.run(report, sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
    print(json.dumps(found))  # noqa: T201 -- its result
