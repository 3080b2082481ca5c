"""The API's error answers, in the format of RFC 9457."""

import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of problem: its name in addresses, HTTP status and title. The page of the API explains each."""

    name: str
    status: int
    title: str

    @property
    def address(self) -> str:
        """Where the page of the API explains it."""
        return f"/api/docs#{self.name}"


MALFORMED = Kind(name="malformed", status=400, title="The request cannot be read")
UNSIGNED = Kind(name="unsigned", status=401, title="The request is not signed by a known key")
STALE = Kind(name="stale", status=401, title="The request's timestamp is too old or too new")
UNVERIFIED = Kind(name="unverified", status=401, title="The delivery does not prove that it comes from this shop")
UNREADABLE = Kind(name="unreadable", status=422, title="The delivery comes from the shop, but cannot be read")
NOT_FOUND = Kind(name="not-found", status=404, title="This address does not exist")
METHOD = Kind(name="method-not-allowed", status=405, title="This method is not allowed here")
SLOW = Kind(name="slow", status=408, title="The request took too long to arrive")
CONFLICTING = Kind(name="conflicting", status=409, title="This id was reported with other contents")
NOT_KNOWN_YET = Kind(name="not-known-yet", status=409, title="This order is not known yet; send the refund again later")
NOTHING_LEFT = Kind(name="nothing-left", status=409, title="Nothing is left to refund of this order")
TOO_MUCH = Kind(name="too-much", status=200, title="More was refunded than was left of the order")
NOT_DONE = Kind(name="not-done", status=409, title="This refund cannot be made")
REPLAYED = Kind(name="replayed", status=409, title="This request was already recorded")
TOO_LARGE = Kind(name="too-large", status=413, title="The request is too large")
MEDIA_TYPE = Kind(name="media-type", status=415, title="The request is not JSON")
INVALID = Kind(name="invalid", status=422, title="A value is not valid")
TOO_MANY = Kind(name="too-many", status=429, title="Too many refused requests from this address")
FAILED = Kind(name="failed", status=500, title="An error in this program")
UNAVAILABLE = Kind(name="unavailable", status=503, title="The ledger is not available at the moment")

KINDS = (
    *(MALFORMED, UNSIGNED, STALE, NOT_FOUND, METHOD, SLOW, CONFLICTING, NOT_KNOWN_YET, NOTHING_LEFT, TOO_MUCH),
    *(NOT_DONE, REPLAYED, TOO_LARGE, MEDIA_TYPE, UNVERIFIED, UNREADABLE, INVALID, TOO_MANY, FAILED, UNAVAILABLE),
)


class ProblemError(Exception):
    """Ends a request with a problem. `pointer` is the JSON pointer of the wrong value."""

    def __init__(self, kind: Kind, detail: str, *, pointer: str | None = None) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.pointer = pointer


def problem(kind: Kind, detail: str, *, pointer: str | None = None) -> web.Response:
    """Return the response of a problem."""
    body: dict[str, Any] = {
        "type": kind.address,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
    }
    if pointer is not None:
        body["pointer"] = pointer
    headers = {"Retry-After": "60"} if kind in {TOO_MANY, UNAVAILABLE} else None
    response = web.Response(
        body=json.dumps(body).encode(), status=kind.status, content_type="application/problem+json", headers=headers
    )
    if kind in {SLOW, UNAVAILABLE}:
        # The rest of a slow body is not waited for.
        response.force_close()
    return response
