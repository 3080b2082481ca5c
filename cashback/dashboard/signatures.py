"""Signatures of the intake: an HMAC-SHA256 over the timestamp and the body with a known key."""

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cashback.dashboard.problems import REPLAYED, STALE, UNSIGNED, ProblemError
from cashback.shops.webhooks.signing import TIMESTAMP_DIGITS, WINDOW_SECONDS

KEY_HEADER: Final = "Cashback-Key"
TIMESTAMP_HEADER: Final = "Cashback-Timestamp"
SIGNATURE_HEADER: Final = "Cashback-Signature"
VERSION: Final = "v1="
DIGEST_LENGTH: Final = 64

REMEMBERED: Final = 100_000
"""Recorded requests that are remembered, so that a replay is refused. A retry has a new signature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """The signature headers of a request, not checked yet."""

    key: str
    timestamp: int
    digest: str


class Keyring:
    """Holds the shops' secrets and the recorded requests."""

    def __init__(self, secrets: Mapping[str, Sequence[bytes]]) -> None:
        """`secrets` has a key's secrets by its name; there are two while a shop changes over."""
        self._secrets = secrets
        self._recorded: OrderedDict[str, int] = OrderedDict()

    def read(self, headers: Mapping[str, str], now: datetime) -> Signed:
        """Parse a request's headers before its body is read. Raises ProblemError."""
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
        if not self.knows(key):
            # Refused before the body is read, so that a stranger's slow bodies take no place from a shop's.
            raise ProblemError(UNSIGNED, "The signature does not belong to this key, timestamp and body.")
        if abs(now.timestamp() - signed.timestamp) > WINDOW_SECONDS:
            raise ProblemError(
                STALE, f"{TIMESTAMP_HEADER} is {timestamp}, here it is {int(now.timestamp())}; sign the request again."
            )
        return signed

    def knows(self, key: str) -> bool:
        """Return whether a shop has this key."""
        return key in self._secrets

    def check(self, signed: Signed, body: bytes) -> None:
        """Check the signature over the body. Raises ProblemError."""
        message = b"%d." % signed.timestamp + body
        matches = [
            hmac.compare_digest(hmac.new(secret, message, hashlib.sha256).hexdigest(), signed.digest)
            for secret in self._secrets[signed.key]
        ]
        if not any(matches):
            raise ProblemError(UNSIGNED, "The signature does not belong to this key, timestamp and body.")
        if signed.digest in self._recorded:
            raise ProblemError(REPLAYED, "This request was already recorded; to try again, sign it again.")

    def remember(self, signed: Signed, now: datetime) -> None:
        """Remember a recorded request: it is refused while its timestamp is valid."""
        self._recorded[signed.digest] = signed.timestamp
        oldest = now.timestamp() - WINDOW_SECONDS
        while self._recorded:
            digest, timestamp = next(iter(self._recorded.items()))
            if timestamp >= oldest and len(self._recorded) <= REMEMBERED:
                return
            del self._recorded[digest]
