"""Who sends a request to the intake: an HMAC-SHA256 over the timestamp and the body, by a key that is known."""

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cashback.dashboard.problems import REPLAYED, STALE, UNSIGNED, ProblemError

KEY_HEADER: Final = "Cashback-Key"
TIMESTAMP_HEADER: Final = "Cashback-Timestamp"
SIGNATURE_HEADER: Final = "Cashback-Signature"
VERSION: Final = "v1="
DIGEST_LENGTH: Final = 64
TIMESTAMP_DIGITS: Final = 12

WINDOW_SECONDS: Final = 300
"""How far the timestamp may be from this machine's clock, either way."""

REMEMBERED: Final = 100_000
"""Requests that are remembered, so that the very same one is told from a new one. A retry is signed anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What the headers of a request say: by which key, when, and the signature, not looked at yet."""

    key: str
    timestamp: int
    digest: str


class Keyring:
    """Knows the shops' secrets, and which requests were taken in."""

    def __init__(self, secrets: Mapping[str, Sequence[bytes]]) -> None:
        """Take each key's secrets by its name; while a shop changes over there are two."""
        self._secrets = secrets
        self._taken_in: OrderedDict[str, int] = OrderedDict()

    def read(self, headers: Mapping[str, str], now: datetime) -> Signed:
        """Look at a request's headers, before its body is read. Raises ProblemError."""
        key = headers.get(KEY_HEADER, "")
        timestamp, signature = headers.get(TIMESTAMP_HEADER, ""), headers.get(SIGNATURE_HEADER, "")
        if not (key and timestamp and signature):
            raise ProblemError(
                UNSIGNED, f"The headers {KEY_HEADER}, {TIMESTAMP_HEADER} and {SIGNATURE_HEADER} are needed."
            )
        digest = signature.removeprefix(VERSION).lower()
        if not signature.startswith(VERSION) or len(digest) != DIGEST_LENGTH or not digest.isascii():
            raise ProblemError(UNSIGNED, f"{SIGNATURE_HEADER} is not {VERSION} and {DIGEST_LENGTH} hexadecimal digits.")
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= TIMESTAMP_DIGITS):
            raise ProblemError(UNSIGNED, f"{TIMESTAMP_HEADER} is not a whole number of seconds since 1970.")
        signed = Signed(key=key, timestamp=int(timestamp), digest=digest)
        if abs(now.timestamp() - signed.timestamp) > WINDOW_SECONDS:
            raise ProblemError(
                STALE, f"{TIMESTAMP_HEADER} is {timestamp}, here it is {int(now.timestamp())}; sign the request anew."
            )
        return signed

    def check(self, signed: Signed, body: bytes) -> None:
        """Check the signature over the body. Raises ProblemError; it does not say whether the key is known."""
        message = b"%d." % signed.timestamp + body
        # One digest at least, so that a key that is not known takes as long as one that is.
        secrets = self._secrets.get(signed.key) or (b"",)
        matches = [
            hmac.compare_digest(hmac.new(secret, message, hashlib.sha256).hexdigest(), signed.digest)
            for secret in secrets
        ]
        if signed.key not in self._secrets or not any(matches):
            raise ProblemError(UNSIGNED, "The signature does not belong to this key, timestamp and body.")
        if signed.digest in self._taken_in:
            raise ProblemError(REPLAYED, "This very request was taken in before; to try again, sign it anew.")

    def remember(self, signed: Signed, now: datetime) -> None:
        """Note that a request was taken in: the same one is not taken in again while its timestamp is good."""
        self._taken_in[signed.digest] = signed.timestamp
        oldest = now.timestamp() - WINDOW_SECONDS
        while self._taken_in:
            digest, timestamp = next(iter(self._taken_in.items()))
            if timestamp >= oldest and len(self._taken_in) <= REMEMBERED:
                return
            del self._taken_in[digest]
