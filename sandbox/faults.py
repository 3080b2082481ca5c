"""Misbehaviour on demand: Discord's faults, so that a test can see how its bot handles them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from sandbox import errors
from sandbox.ratelimits import too_many_requests

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sandbox.errors import ApiError


class ConnectionDroppedError(Exception):
    """The connection is to be closed without a response."""


class PageAnsweredError(Exception):
    """A page is the response, as from a proxy between."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(slots=True, eq=False)
class Hold:
    """Requests held on their way: the first one sets `arrived`, `release` lets all of them continue."""

    arrived: anyio.Event = field(default_factory=anyio.Event)
    released: anyio.Event = field(default_factory=anyio.Event)

    def release(self) -> None:
        """Let them continue."""
        self.released.set()


@dataclass(slots=True, eq=False)
class Fault:
    """What happens to the next `times` matching requests; with `after_effect`, each takes effect first."""

    method: str
    path: re.Pattern[str]
    times: int
    after_effect: bool
    strike: Callable[[], Awaitable[None]]


class Faults:
    """The switches.

    A path is a regular expression, searched in the part after `/api/v10`, for example `/channels/[0-9]+/messages$`.
    """

    def __init__(self) -> None:
        self.dm_refusals: dict[int, int] = {}
        self.channel_refusals: dict[int, int] = {}
        self._opening: list[int] = []
        self._requests: list[Fault] = []
        self._holds: list[Hold] = []
        self._duplicates: dict[str, int] = {}

    def close_dms(self, user_id: int, code: int = 50007) -> None:
        """Refuse messages to that person with 403: 50007 closed or blocked, 50278 no mutual server, 20026 flagged."""
        self.dm_refusals[user_id] = code

    def open_dms(self, user_id: int) -> None:
        """Accept messages to that person again."""
        self.dm_refusals.pop(user_id, None)

    def refuse_opening_dms(self, code: int = 40003, *, times: int = 1) -> None:
        """Refuse the next requests that open a DM: 40003 too fast, 20026 flagged."""
        self._opening += [code] * times

    def forbid_channel(self, channel_id: int, code: int = 50013) -> None:
        """Refuse the bot's messages in a channel with 403: 50013 missing permissions, 50001 missing access."""
        self.channel_refusals[channel_id] = code

    def allow_channel(self, channel_id: int) -> None:
        """Allow the bot to write in that channel again."""
        self.channel_refusals.pop(channel_id, None)

    def fail(
        self,
        method: str,
        path: str,
        *,
        status: int = 500,
        code: int = 0,
        message: str = "Internal Server Error",
        times: int = 1,
        after_effect: bool = False,
    ) -> None:
        """Answer the next matching requests with this status, instead of or after their effect."""

        async def strike() -> None:
            raise errors.ApiError(status, code, message)

        self._add(method, path, times, strike, after_effect=after_effect)

    def answer_page(
        self, method: str, path: str, *, status: int = 200, text: str = "<h1>Sign in</h1>", times: int = 1
    ) -> None:
        """Answer the next matching requests with a page of HTML, as a proxy or a hotel's network does."""

        async def strike() -> None:
            raise PageAnsweredError(status, text)

        self._add(method, path, times, strike, after_effect=False)

    def rate_limit(
        self, method: str, path: str, *, retry_after: float = 0.01, scope: str = "user", times: int = 1
    ) -> None:
        """Answer the next matching requests with 429; `scope` is user, shared or global."""

        async def strike() -> None:
            raise too_many_requests(retry_after, scope=scope)

        self._add(method, path, times, strike, after_effect=False)

    def drop(self, method: str, path: str, *, times: int = 1, after_effect: bool = False) -> None:
        """Close the connection of the next matching requests without a response, before or after their effect."""

        async def strike() -> None:
            raise ConnectionDroppedError

        self._add(method, path, times, strike, after_effect=after_effect)

    def hold(self, method: str, path: str, *, times: int = 1, after_effect: bool = False) -> Hold:
        """Hold the next matching requests until the returned hold is released: a response as slow as a test needs."""
        hold = Hold()
        self._holds.append(hold)

        async def strike() -> None:
            hold.arrived.set()
            await hold.released.wait()

        self._add(method, path, times, strike, after_effect=after_effect)
        return hold

    def duplicate_events(self, event: str = "MESSAGE_CREATE", *, times: int = 1) -> None:
        """Send the next Gateway events of that name twice."""
        self._duplicates[event] = self._duplicates.get(event, 0) + times

    def clear(self) -> None:
        """Remove all faults; held requests continue."""
        self.release_all()
        self.dm_refusals.clear()
        self.channel_refusals.clear()
        self._opening.clear()
        self._requests.clear()
        self._duplicates.clear()

    def release_all(self) -> None:
        """Let every held request continue."""
        for hold in self._holds:
            hold.release()
        self._holds.clear()

    def take_request(self, method: str, path: str) -> Fault | None:
        """Return the fault for this request, and count it down."""
        for fault in self._requests:
            if fault.method in {method, "*"} and fault.path.search(path):
                fault.times -= 1
                if fault.times == 0:
                    self._requests.remove(fault)
                return fault
        return None

    def take_opening(self) -> ApiError | None:
        """Return the refusal for this opening of a DM, and count it down."""
        return errors.refusal(self._opening.pop(0)) if self._opening else None

    def take_duplicate(self, event: str) -> bool:
        """Whether this event is sent twice, counted down."""
        left = self._duplicates.get(event, 0)
        self._duplicates[event] = max(0, left - 1)
        return left > 0

    def _add(
        self, method: str, path: str, times: int, strike: Callable[[], Awaitable[None]], *, after_effect: bool
    ) -> None:
        self._requests.append(
            Fault(method=method, path=re.compile(path), times=times, after_effect=after_effect, strike=strike)
        )
