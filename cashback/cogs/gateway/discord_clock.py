"""Compares the machine's clock with Discord's: each answer has a `Date` header, and once an hour one is asked for."""

import logging
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import SimpleNamespace
from typing import Final

import aiohttp
import anyio
import discord

from cashback.cogs.errors import DISCORD_FAILURES
from cashback.domain.clock import ClockCheck
from cashback.domain.ports import utc_now

POLL_SECONDS: Final = 600
DOUBTED_POLL_SECONDS: Final = 15
REQUEST_SECONDS: Final = 10

logger = logging.getLogger(__name__)


def observing(check: ClockCheck, trace: aiohttp.TraceConfig) -> aiohttp.TraceConfig:
    """Let a trace note the time in each answer over HTTP, before it does anything else; return it."""

    async def start(
        _session: aiohttp.ClientSession, context: SimpleNamespace, _: aiohttp.TraceRequestStartParams
    ) -> None:
        context.asked_at = utc_now()

    async def end(
        _session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestEndParams
    ) -> None:
        # A websocket's handshake is answered by the gateway, which may be elsewhere.
        if params.response.status == HTTPStatus.SWITCHING_PROTOCOLS:
            return
        try:
            shown = parsedate_to_datetime(params.response.headers["Date"])
        except (KeyError, ValueError):
            return
        if shown.tzinfo is not None:
            check.compare(shown, asked_at=context.asked_at)

    trace.on_request_start.insert(0, start)
    trace.on_request_end.insert(0, end)
    return trace


async def keep_comparing(check: ClockCheck) -> None:
    """Ask Discord for the time whenever it is not known well enough, until cancelled."""
    while True:
        if check.is_stale or check.is_doubted:
            await _ask(check)
        await anyio.sleep(DOUBTED_POLL_SECONDS if check.is_doubted else POLL_SECONDS)


async def _ask(check: ClockCheck) -> None:
    """Ask for what needs no token; an answer of any kind shows the time."""
    try:
        with anyio.fail_after(REQUEST_SECONDS):
            async with (
                aiohttp.ClientSession(trace_configs=[observing(check, aiohttp.TraceConfig())]) as session,
                session.get(f"{discord.http.Route.BASE}/gateway"),
            ):
                pass
    except DISCORD_FAILURES as error:
        logger.debug("Discord does not show the time: %s", error)
