"""A shop's deliveries: signed at each attempt, tried again until they are answered well, and sent again on request."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final

import aiohttp
import anyio
import anyio.abc

from sandbox.shop.senders import Request

RETRY_SECONDS: Final = (1, 5, 30, 120, 600)
"""The pauses before a delivery that was not answered with 2xx is tried again. Real shops go on for days."""

HELD: Final = "held back"
UNREPORTED: Final = "not reported by this system"

Make = Callable[[datetime], Request | None]
"""Makes the request of this moment, with its signature; None if the shop system reports nothing of the kind."""


@dataclass(slots=True)
class Delivery:
    """One delivery, how often it was tried, and the last answer."""

    number: int
    name: str
    make: Make
    url: str
    attempts: int = 0
    answer: str = HELD
    is_done: bool = False


class Deliveries:
    """All deliveries of the shops, oldest first."""

    def __init__(
        self, tasks: anyio.abc.TaskGroup, clock: Callable[[], datetime], retry_seconds: Sequence[float]
    ) -> None:
        self._tasks = tasks
        self._clock = clock
        self._retry_seconds = retry_seconds
        self.all: list[Delivery] = []

    def add(self, name: str, make: Make, url: str) -> Delivery:
        """Add a delivery, and hold it back until it is sent."""
        delivery = Delivery(number=len(self.all) + 1, name=name, make=make, url=url)
        self.all.append(delivery)
        return delivery

    async def send(self, delivery: Delivery) -> None:
        """Send a delivery, whether it was sent before or not; if the answer is not 2xx, it is tried again later."""
        await self._attempt(delivery)
        if not delivery.is_done:
            self._tasks.start_soon(self._try_again, delivery, name=f"delivery {delivery.number}")

    async def _try_again(self, delivery: Delivery) -> None:
        for seconds in self._retry_seconds:
            await anyio.sleep(seconds)
            if delivery.is_done:
                return
            await self._attempt(delivery)

    async def _attempt(self, delivery: Delivery) -> None:
        request = delivery.make(self._clock())
        if request is None:
            delivery.answer, delivery.is_done = UNREPORTED, True
            return
        delivery.attempts += 1
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.post(delivery.url + request.query, data=request.body, headers=request.headers) as answer,
            ):
                said = json.loads(await answer.read() or b"null")
                outcome = said.get("outcome") or said.get("detail") if isinstance(said, dict) else None
                delivery.answer = str(outcome or answer.status)
                delivery.is_done = HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES
        except (aiohttp.ClientError, ValueError) as error:
            delivery.answer = f"no answer ({type(error).__name__})"
