"""Sends one event to a webhook: a POST, signed as Standard Webhooks has it.

The addresses come from the configuration alone. Still a name may lead into this machine's own network: unless a
webhook is `private`, only public addresses are connected to, and redirects are not followed.
"""

import base64
import hashlib
import hmac
import json
import socket
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from cashback.domain.events import EventDelivery
from cashback.domain.ports import Clock
from cashback.settings import WebhookSettings, decoded_secret

SECONDS: Final = 10
GONE: Final = 410


class RefusedAddressError(OSError):
    """An address that this webhook must not lead to."""


class GuardedResolver(AbstractResolver):
    """Resolves names, and refuses addresses of networks that are not public."""

    def __init__(self, *, may_be_private: bool) -> None:
        self._resolver = aiohttp.ThreadedResolver()
        self._may_be_private = may_be_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Resolve a name. Raises RefusedAddressError if one of its addresses is not allowed."""
        found = await self._resolver.resolve(host, port, family)
        for each in found:
            require_allowed(each["host"], may_be_private=self._may_be_private)
        return found

    async def close(self) -> None:
        """Close the resolver."""
        await self._resolver.close()


def require_allowed(address: str, *, may_be_private: bool) -> None:
    """Raise RefusedAddressError for an address that is not public, or never a program's: link-local, multicast."""
    parsed: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    never = parsed.is_link_local or parsed.is_multicast or parsed.is_unspecified
    if never or not (parsed.is_global or may_be_private):
        raise RefusedAddressError(f"{address} is not a public address; see `private` in the configuration")


class EventSender:
    """Sends to one webhook. Use it as an async context."""

    def __init__(self, target: WebhookSettings, clock: Clock) -> None:
        self._target = target
        self._keys = [decoded_secret(each.get_secret_value()) for each in target.secrets]
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        resolver = GuardedResolver(may_be_private=self._target.private)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, limit=1),
            timeout=aiohttp.ClientTimeout(total=SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, delivery: EventDelivery) -> tuple[str | None, bool]:
        """Send an event; return why it was not taken, None if it was, and whether trying again is useless."""
        if not self._keys:
            return "its secret is not set", False
        body = body_of(delivery)
        assert self._session is not None  # noqa: S101 -- it is used as a context
        try:
            host = urlsplit(self._target.url).hostname or ""
            # aiohttp resolves names only.
            if _is_address(host):
                require_allowed(host, may_be_private=self._target.private)
            async with self._session.post(
                self._target.url, data=body, headers=self._headers(delivery, body), allow_redirects=False
            ) as response:
                if 200 <= response.status < 300:  # noqa: PLR2004 -- a redirect is not followed
                    return None, False
                return f"it answered {response.status}", response.status == GONE
        except TimeoutError:
            return f"it did not answer within {SECONDS} s", False
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return str(getattr(error, "os_error", None) or error) or type(error).__name__, False

    def _headers(self, delivery: EventDelivery, body: bytes) -> Mapping[str, str]:
        timestamp = str(int(self._clock().timestamp()))
        message = f"{delivery.message_id}.{timestamp}.".encode() + body
        digests = (hmac.new(key, message, hashlib.sha256).digest() for key in self._keys)
        return {
            "content-type": "application/json",
            "user-agent": "cashback",
            "webhook-id": delivery.message_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests),
        }


def body_of(delivery: EventDelivery) -> bytes:
    """Return an event's body; the same at each attempt."""
    content = {"type": delivery.event, "timestamp": delivery.happened_at.isoformat(), "data": delivery.data}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
