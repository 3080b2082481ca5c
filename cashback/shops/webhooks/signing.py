"""Signatures of deliveries: HMAC-SHA256 in hexadecimal or base64, and timestamps."""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from cashback.shops.webhooks.kind import StaleError, UnverifiedError

WINDOW_SECONDS: Final = 300
"""The largest difference between a delivery's timestamp and this machine's clock."""

MOST_SIGNATURES: Final = 10
TIMESTAMP_DIGITS: Final = 12


def hexadecimal(secret: bytes, message: bytes) -> str:
    """Sign a message; return the signature as hexadecimal digits."""
    return hmac.new(secret, message, hashlib.sha256).hexdigest()


def in_base64(secret: bytes, message: bytes) -> str:
    """Sign a message; return the signature in base64."""
    return base64.b64encode(hmac.new(secret, message, hashlib.sha256).digest()).decode()


def require_match(given: Sequence[str], expected: Iterable[str]) -> None:
    """Raise UnverifiedError unless one of the given signatures is one of the expected ones."""
    # Every pair is compared, so that the time does not show which secret is the right one.
    pairs = [(one.encode(errors="replace"), other.encode()) for other in expected for one in given[:MOST_SIGNATURES]]
    matches = [hmac.compare_digest(one, other) for one, other in pairs]
    if not any(matches):
        raise UnverifiedError("The signature does not belong to this body and this shop's secret.")


def require_recent(timestamp: str, now: datetime) -> None:
    """Raise StaleError if a timestamp in seconds since 1970 is more than five minutes away from now."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= TIMESTAMP_DIGITS):
        raise UnverifiedError("The timestamp is not a whole number of seconds since 1970.")
    if abs(now.timestamp() - int(timestamp)) > WINDOW_SECONDS:
        raise StaleError(
            f"The timestamp is {timestamp}, here it is {int(now.timestamp())}; check this machine's clock."
        )


def parts_of(header: str, separator: str) -> dict[str, list[str]]:
    """Split a header such as "t=1,v1=a,v1=b" into its names and their values."""
    found: dict[str, list[str]] = {}
    for part in header.split(separator):
        name, _, value = part.strip().partition("=")
        found.setdefault(name, []).append(value)
    return found
