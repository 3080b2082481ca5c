"""The peer's side of `make bench-peers`: Procrastinate's worker empties a queue of jobs that do nothing.

Run by a Python that has Procrastinate, and nothing of this program: `peer_procrastinate.py ADDRESS JOBS AT_ONCE` prints
the seconds of wall time and of CPU.
"""

import asyncio
import sys
import time

import procrastinate  # type: ignore[import-not-found]  # in an environment of its own


async def _work(address: str, jobs: int, at_once: int) -> None:
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=address))

    @app.task(name="send")  # type: ignore[untyped-decorator]
    async def send(member: int) -> None:
        """Deliver at once."""

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        await send.batch_defer_async(*({"member": member} for member in range(jobs)))
        start, cpu = time.perf_counter(), time.process_time()
        await app.run_worker_async(wait=False, concurrency=at_once, install_signal_handlers=False)
        print(time.perf_counter() - start, time.process_time() - cpu)


if __name__ == "__main__":
    asyncio.run(_work(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
