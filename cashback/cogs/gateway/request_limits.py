"""Limits on single requests to Discord: how long the answer may take, and how many server errors are waited out.

The library repeats a server error five times, for half a minute, and holds the rate limit's bucket, which all members
share, until it is done. Cancelling it from outside may leave its global rate limit closed permanently, if it is waiting
for that. So the limits apply to the request alone: time spent waiting for a rate limit does not count.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from http import HTTPStatus
from types import SimpleNamespace
from typing import Final

import aiohttp
import anyio
import discord
from discord.http import json_or_text

MOST_SERVER_ERRORS: Final = 2
"""The second one is final: the message is sent again later, and others are sent in the meantime."""

SERVER_ERROR: Final = 500


class NotDiscordError(aiohttp.ClientError):
    """Something else answered in Discord's place."""


@dataclass(slots=True)
class _Limits:
    scope: anyio.CancelScope
    seconds: float
    server_errors: int = 0


_current: ContextVar[_Limits | None] = ContextVar("request_limits", default=None)


@contextmanager
def request_limits(client: discord.Client, seconds: float) -> Iterator[None]:
    """Limit the client's requests in the block.

    Raises TimeoutError if Discord does not answer one in so many seconds.
    """
    with anyio.CancelScope() as scope:
        token = _current.set(_Limits(scope, seconds))
        try:
            yield
        except anyio.get_cancelled_exc_class():
            _free_buckets(client)
            raise
        finally:
            _current.reset(token)
    if scope.cancelled_caught:
        message = f"Discord did not answer within {seconds:g} s"
        raise TimeoutError(message)


def _free_buckets(client: discord.Client) -> None:
    """Let the next request pass at once.

    A bucket's first request takes its only token. If it is cancelled, so is the library's attempt to return the token,
    and the next request, perhaps another member's or that of a reloaded extension, waits 30 s.
    """
    for bucket in client.http._buckets.values():  # noqa: SLF001 -- the library has no other way to them
        if bucket.remaining <= 0 and not bucket.outgoing and bucket.expires is None:
            bucket.reset()  # type: ignore[no-untyped-call]  # the library is not typed there
            bucket._wake(bucket.remaining)  # noqa: SLF001 -- as above


def limiting_trace() -> aiohttp.TraceConfig:
    """Return the trace that applies the limits; the client passes it to its HTTP session."""
    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(_start)
    trace.on_request_end.append(_end)
    trace.on_request_exception.append(_stop_clock)
    return trace


def _require_discord(response: aiohttp.ClientResponse) -> None:
    """Raise NotDiscordError for an answer to the API that the library would take for Discord's, and stumble over."""
    kind = response.headers.get("Content-Type")
    is_content = response.status == HTTPStatus.OK and str(response.url).startswith(discord.http.Route.BASE)
    if is_content and kind != "application/json":
        message = f"the answer is {kind or 'of no type'}, not JSON: something between answers in Discord's place"
        raise NotDiscordError(message)


async def _start(_session: aiohttp.ClientSession, _context: SimpleNamespace, _params: object) -> None:
    limits = _current.get()
    if limits is not None:
        limits.scope.deadline = anyio.current_time() + limits.seconds


async def _stop_clock(_session: aiohttp.ClientSession, _context: SimpleNamespace, _params: object) -> None:
    limits = _current.get()
    if limits is not None:
        limits.scope.deadline = math.inf


async def _end(
    _session: aiohttp.ClientSession, _context: SimpleNamespace, params: aiohttp.TraceRequestEndParams
) -> None:
    _require_discord(params.response)
    limits = _current.get()
    if limits is None:
        return
    if params.response.status >= SERVER_ERROR:
        limits.server_errors += 1
        if limits.server_errors >= MOST_SERVER_ERRORS:
            raise discord.DiscordServerError(params.response, await json_or_text(params.response))
    limits.scope.deadline = math.inf
