"""Delivers payouts' direct messages. Every failure of Discord is an outcome, not an exception."""

import hashlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import aiohttp
import anyio
import discord

from cashback.cogs.errors import DISCORD_FAILURES, LONGEST_REASON
from cashback.cogs.gateway.gateway_status import GatewayStatus
from cashback.cogs.gateway.request_limits import request_limits
from cashback.cogs.texts import embeds
from cashback.domain.errors import LeaseLostError
from cashback.domain.languages import speaking
from cashback.domain.model import Absence, Delivery, DeliveryStatus, PayoutNotice

INVALID_RECIPIENT: Final = 50033
UNDELIVERABLE_CODES: Final = frozenset({50007, 50278, 10013, INVALID_RECIPIENT})
"""The member blocks direct messages, shares no server with the bot, or does not exist. Retries are pointless."""

ABSENCE_CODES: Final[dict[int | None, Absence]] = {50278: Absence.LEFT, 10013: Absence.GONE}

BACK_OFF_CODES: Final = frozenset({40003, 20026})
"""Direct messages are opened too fast, or the bot is flagged for it."""

UNKNOWN_CHANNEL: Final = 10003
TOO_MANY_REQUESTS: Final = 429
SERVER_ERROR: Final = 500
UNAUTHORIZED: Final = 401
SEND_SECONDS: Final = 60
OPEN_SECONDS: Final = 5
"""Opening a channel has one rate limit for all members: a request without an answer holds up the others."""

WRITE_SECONDS: Final = 10
NONCE_LENGTH: Final = 24

logger = logging.getLogger(__name__)


def nonce_of(*parts: object) -> str:
    """Return a digest of a message's subject: Discord recognises a message that is sent again within minutes."""
    return hashlib.sha256(":".join(map(str, parts)).encode()).hexdigest()[:NONCE_LENGTH]


Assure = Callable[[], Awaitable[object]]
"""Returns when this process may send. Raises LeaseLostError if another process sends now."""


async def at_once() -> None:
    """Allow every message at once."""


def _received(notice: PayoutNotice, brand_name: str) -> discord.Embed:
    """Write a payout's message in the member's language."""
    with speaking(notice.language):
        return embeds.received(notice, brand_name)


class DmSender:
    """Sends embeds to members. It waits until Discord is connected: an outage uses up no attempts."""

    def __init__(
        self, client: discord.Client, gateway_status: GatewayStatus, *, brand_name: str, assure: Assure = at_once
    ) -> None:
        """Send with `brand_name` in the footer; `assure` is awaited before each payout's message."""
        self._assure = assure
        self._client = client
        self._gateway_status = gateway_status
        self._brand_name = brand_name

    async def send(self, notice: PayoutNotice) -> Delivery:
        """Send one payout's direct message once. Raises LeaseLostError if another process sends now."""
        await self._gateway_status.wait_online()
        await self._assure()
        return await self.deliver(
            notice.user_id,
            partial(_received, notice, self._brand_name),
            nonce=nonce_of(notice.batch_id, notice.user_id, "payout"),
            dm_channel_id=notice.dm_channel_id,
            batch_id=notice.batch_id,
            assure=self._assure,
        )

    async def deliver(
        self,
        user_id: int,
        write: Callable[[], discord.Embed],
        *,
        nonce: str,
        dm_channel_id: int | None,
        batch_id: str | None = None,
        assure: Assure = at_once,
    ) -> Delivery:
        """Send the embed that `write` returns to a user once. If `dm_channel_id` is None, a channel is opened first.

        `batch_id` goes into the log records; `assure` is awaited right before the request that sends.
        """
        await self._gateway_status.wait_online()
        channel_id = dm_channel_id
        try:
            embed = write()
            with anyio.fail_after(SEND_SECONDS):
                channel_id = channel_id or await self._open(user_id)
                try:
                    await self._write(channel_id, embed, nonce, assure)
                except discord.HTTPException as error:
                    if error.code != UNKNOWN_CHANNEL or dm_channel_id is None:
                        raise
                    channel_id = await self._open(user_id)
                    await self._write(channel_id, embed, nonce, assure)
        except DISCORD_FAILURES as error:
            absence = await self._absence_of(error, user_id)
            return Delivery(
                status=_status_of(error),
                reason=_reason(error),
                dm_channel_id=channel_id,
                absence=absence,
                is_outage=_is_outage(error),
            )
        except LeaseLostError:
            raise
        except Exception as error:
            logger.exception("a direct message to %d could not be written", user_id, extra={"batch_id": batch_id})
            return Delivery(status=DeliveryStatus.RETRY, reason=_reason(error), dm_channel_id=channel_id)
        return Delivery(status=DeliveryStatus.SENT, dm_channel_id=channel_id)

    async def _absence_of(self, error: Exception, user_id: int) -> Absence | None:
        """Return whether a refusal means that the member left the server or Discord."""
        code = error.code if isinstance(error, discord.HTTPException) else None
        if code != INVALID_RECIPIENT:
            return ABSENCE_CODES.get(code)
        try:
            await self._client.fetch_user(user_id)
        except discord.NotFound:
            return Absence.GONE
        except DISCORD_FAILURES:
            return None
        return None

    async def _open(self, user_id: int) -> int:
        with request_limits(self._client, OPEN_SECONDS):
            return (await self._client.create_dm(discord.Object(user_id))).id

    async def _write(self, channel_id: int, embed: discord.Embed, nonce: str, assure: Assure) -> None:
        channel = self._client.get_partial_messageable(channel_id, type=discord.ChannelType.private)
        await assure()
        with request_limits(self._client, WRITE_SECONDS):
            await channel.send(embed=embed, nonce=nonce)


def _status_of(error: Exception) -> DeliveryStatus:
    """Return the outcome by Discord's code, not by the exception's class: one refusal comes as 400 or 403.

    If the library raises a 429 at once, it has no `Via` header and comes from Discord's front: the address is blocked.
    """
    code = error.code if isinstance(error, discord.HTTPException) else None
    if code in UNDELIVERABLE_CODES:
        return DeliveryStatus.UNDELIVERABLE
    is_blocked = isinstance(error, discord.HTTPException) and error.status == TOO_MANY_REQUESTS
    return DeliveryStatus.BACK_OFF if is_blocked or code in BACK_OFF_CODES else DeliveryStatus.RETRY


def _is_outage(error: Exception) -> bool:
    """Return whether the service failed, or the way to it: the same message may well arrive later."""
    if isinstance(error, discord.HTTPException):
        return error.status >= SERVER_ERROR or error.status == UNAUTHORIZED
    return isinstance(error, (discord.RateLimited, aiohttp.ClientError, TimeoutError, OSError))


def _reason(error: Exception) -> str:
    if isinstance(error, discord.HTTPException):
        return f"Discord answered {error.status} {error.code}: {' '.join(error.text.split())[:LONGEST_REASON]}"
    return f"{type(error).__name__}: {error}"
