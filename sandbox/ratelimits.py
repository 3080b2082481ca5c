"""Discord's rate limits: a bucket for each route and channel, a global limit, and one for edits of old messages."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.model import Json

GLOBAL = (50, 1.0)
OLD_EDITS = (3, 6.0)
OLD_EDIT_SECONDS = 3600.0
INVALID = (10_000, 600.0)
ELSEWHERE = (20, 5.0)
PER_ROUTE: dict[tuple[str, str], tuple[int, float]] = {
    ("POST", "/channels/{channel_id}/messages"): (5, 5.0),
    ("PATCH", "/channels/{channel_id}/messages/{message_id}"): (5, 5.0),
    ("DELETE", "/channels/{channel_id}/messages/{message_id}"): (5, 1.0),
    ("POST", "/users/@me/channels"): (10, 10.0),
}
MAJOR = ("channel_id", "guild_id", "webhook_token")
INVALID_STATUSES = {401, 403, 429}


@dataclass(slots=True)
class Window:
    """So many uses in so many seconds, counted from the first."""

    limit: int
    seconds: float
    used: int = 0
    resets_at: float = 0.0

    def take(self, now: float) -> float:
        """Take one use; return 0, or the seconds until one is available."""
        if now >= self.resets_at:
            self.used, self.resets_at = 0, now + self.seconds
        if self.used >= self.limit:
            return self.resets_at - now
        self.used += 1
        return 0.0


def too_many_requests(
    retry_after: float, *, scope: str = "user", code: int = 0, headers: Mapping[str, str] | None = None
) -> ApiError:
    """Build the 429 for this `scope`: user, shared or global.

    `Via` shows clients that it is not a block by the proxy.
    """
    body: Json = {"retry_after": round(retry_after, 3), "global": scope == "global"}
    told = {
        "Via": "1.1 sandbox",
        "Retry-After": str(max(1, round(retry_after))),
        "X-RateLimit-Scope": scope,
        **(headers or {}),
    }
    if scope == "global":
        told["X-RateLimit-Global"] = "true"
    message = "You are being rate limited." if code == 0 else "Maximum number of edits to old messages reached."
    return ApiError(429, code, message, extra=body, headers=told)


class RateLimits:
    """Counts requests; with `enabled` false every request passes, without headers."""

    def __init__(self, clock: Callable[[], float], *, enabled: bool) -> None:
        self._clock = clock
        self.enabled = enabled
        self.invalid_requests = 0
        self._buckets: dict[tuple[str, str, str], Window] = {}
        self._global = Window(*GLOBAL)
        self._old_edits: defaultdict[int, Window] = defaultdict(lambda: Window(*OLD_EDITS))
        self._invalid = Window(*INVALID)

    def admit(self, method: str, route: str, parts: Mapping[str, str]) -> dict[str, str]:
        """Count one request to a route template; return the headers of its response, or refuse it with 429."""
        if not self.enabled:
            return {}
        if self._invalid.used >= INVALID[0] and self._clock() < self._invalid.resets_at:
            # The proxy's block: no Via, no JSON with a time to wait.
            raise ApiError(429, 0, "Blocked for too many invalid requests.")
        if "{interaction_id}" not in route and "{webhook_token}" not in route:
            wait = self._global.take(self._clock())
            if wait:
                raise too_many_requests(wait, scope="global")
        major = next((parts[name] for name in MAJOR if name in parts), "")
        limit, seconds = PER_ROUTE.get((method, route), ELSEWHERE)
        bucket = self._buckets.setdefault((method, route, major), Window(limit, seconds))
        wait = bucket.take(self._clock())
        headers = self._headers(method, route, bucket)
        if wait:
            raise too_many_requests(wait, headers=headers)
        return headers

    def admit_old_edit(self, channel_id: int, written_at: float) -> None:
        """Count an edit of a message written at that Unix second, if the message is old."""
        if self.enabled and self._clock() - written_at > OLD_EDIT_SECONDS:
            wait = self._old_edits[channel_id].take(self._clock())
            if wait:
                raise too_many_requests(wait, code=30046)

    def count_answer(self, status: int, *, shared: bool) -> None:
        """Count a response towards the 10,000 refusals in 10 minutes after which Discord blocks an address."""
        if status in INVALID_STATUSES and not shared:
            self.invalid_requests += 1
            self._invalid.take(self._clock())

    def _headers(self, method: str, route: str, bucket: Window) -> dict[str, str]:
        name = hashlib.blake2s(f"{method} {route}".encode(), digest_size=16).hexdigest()
        return {
            "X-RateLimit-Bucket": name,
            "X-RateLimit-Limit": str(bucket.limit),
            "X-RateLimit-Remaining": str(bucket.limit - bucket.used),
            "X-RateLimit-Reset": f"{bucket.resets_at:.3f}",
            "X-RateLimit-Reset-After": f"{max(0.0, bucket.resets_at - self._clock()):.3f}",
        }
