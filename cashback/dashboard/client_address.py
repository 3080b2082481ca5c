"""The address that a request is counted for, also behind proxies."""

import ipaddress
from typing import Final

from aiohttp import web

UNKNOWN: Final = "unknown"
IPV6_NETWORK_BITS: Final = 64
"""A subscriber usually has a whole IPv6 network of this size, so that it counts as one address."""


def address_of(request: web.Request, *, trusted_proxies: int) -> str:
    """Return the address of a request's client, read through so many proxies of ours.

    Each proxy appends the address of its client to X-Forwarded-For. Entries further left are the client's own claims,
    so the chain is read from the right, over all lines of the header.
    """
    lines = ",".join(request.headers.getall("X-Forwarded-For", []))
    hops = [*(entry.strip() for entry in lines.split(",") if entry.strip()), request.remote or UNKNOWN]
    trusted = hops[-1]
    for hop in reversed(hops[-trusted_proxies - 1 :]):
        if _parsed(hop) is None:
            break
        trusted = hop
    return limit_key(trusted)


def limit_key(address: str) -> str:
    """Return the text that an address is counted under: IPv4 as it is, IPv6 by its network."""
    parsed = _parsed(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed.packed, IPV6_NETWORK_BITS), strict=False))
    return str(parsed) if parsed else UNKNOWN


def is_loopback(address: str) -> bool:
    """Return whether a text is an address of this machine alone."""
    parsed = _parsed(address)
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        return parsed.ipv4_mapped.is_loopback
    return parsed is not None and parsed.is_loopback


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Parse an address, which some proxies write with a port."""
    text = text.partition("%")[0]
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
