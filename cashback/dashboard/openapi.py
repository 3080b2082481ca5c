"""The intake's description: an OpenAPI document, and a page for people made from the same texts."""

import json
from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from cashback.dashboard import problems
from cashback.dashboard.intake import BODY_SECONDS, LARGEST_BODY_BYTES
from cashback.dashboard.intake_schema import ACCOUNT_PATTERN, ID_PATTERN, LONGEST_ID, MAX_ENTRIES
from cashback.dashboard.pages import page
from cashback.dashboard.problems import Kind
from cashback.dashboard.signatures import KEY_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER
from cashback.database import Database
from cashback.database.referral_program.purchases import LARGEST_PURCHASE_CENTS, PurchaseOutcome
from cashback.database.referral_program.refunds import RefundOutcome
from cashback.domain.reason_texts import MAX_REASON_LENGTH
from cashback.settings import Settings
from cashback.shops.webhooks.signing import WINDOW_SECONDS

Json = dict[str, Any]

_ORDER_ID: Final[Json] = {
    "type": "string",
    "pattern": ID_PATTERN,
    "minLength": 1,
    "maxLength": LONGEST_ID,
    "description": "The shop's id of the order. The same order counts once.",
}
_REFUND_ID: Final[Json] = {**_ORDER_ID, "description": "The shop's id of the refund. The same refund counts once."}
_REASON: Final[Json] = {
    "type": ["string", "null"],
    "maxLength": MAX_REASON_LENGTH,
    "description": "Stored as it is.",
}


def _object(required: list[str], properties: Json, *, is_closed: bool = True) -> Json:
    closed = {"additionalProperties": False} if is_closed else {}
    return {"type": "object", "required": required, "properties": properties, **closed}


def _cents(minimum: int, description: str) -> Json:
    return {"type": "integer", "minimum": minimum, "maximum": LARGEST_PURCHASE_CENTS, "description": description}


def _any_of(entries: Sequence[str]) -> Json:
    return _schema(entries[0]) if len(entries) == 1 else {"anyOf": [_schema(entry) for entry in entries]}


def _many(name: str, *entries: str) -> Json:
    listed = {"type": "array", "minItems": 1, "maxItems": MAX_ENTRIES, "items": _any_of(entries)}
    return _object([name], {name: listed})


def _results(entry: str) -> Json:
    return _object(["results"], {"results": {"type": "array", "items": _schema(entry)}})


def _schema(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


SCHEMAS: Final[Json] = {
    "Purchase": _object(
        ["order_id", "amount_cents"],
        {
            "order_id": _ORDER_ID,
            "buyer_id": {
                "type": ["string", "null"],
                "pattern": ACCOUNT_PATTERN,
                "description": "The Discord id of the buyer, as text: many languages round such a number. An id whose"
                " moment of creation cannot be is refused, unless the ledger knows it. If it is missing, as at a guest"
                " checkout, the order waits until an admin assigns it or it is reported again with its buyer.",
            },
            "amount_cents": _cents(0, "The price paid, in whole cents."),
            "purchased_at": {
                "type": ["string", "null"],
                "format": "date-time",
                "description": "The time of the purchase, between 1990 and now. If it is missing, it is now.",
            },
        },
    ),
    "Purchases": _many("purchases", "Purchase"),
    "Refund": _object(
        ["order_id", "refund_id"],
        {
            "order_id": _ORDER_ID,
            "refund_id": _REFUND_ID,
            "amount_cents": {
                **_cents(1, "The amount refunded, in whole cents. If it is missing, it is the rest of the order."),
                "type": ["integer", "null"],
            },
            "given_back": {
                "type": ["boolean", "null"],
                "description": "True if the refund of this id was a dispute that the shop has won: it is given back.",
            },
            "reason": _REASON,
        },
    ),
    "RefundInAll": _object(
        ["order_id", "refunded_in_all_cents"],
        {
            "order_id": _ORDER_ID,
            "refunded_in_all_cents": _cents(1, "All that was refunded of the order so far, in whole cents."),
            "reason": _REASON,
        },
    ),
    "Refunds": _many("refunds", "Refund", "RefundInAll"),
    "PurchaseResult": _object(
        ["order_id", "outcome", "earned_cents"],
        {
            "order_id": {"type": "string"},
            "outcome": {
                "enum": [str(each) for each in PurchaseOutcome],
                "description": "`earned` for the buyer's referrer; `nobody_earns`: the buyer has no referrer, or the"
                " referrer is blacklisted; `repeated`: it was already reported; `conflicting`: it was reported with"
                " another buyer or amount, and nothing was changed; `waiting`: it has no buyer.",
            },
            "earned_cents": {"type": "integer", "description": "Whole cents; fractions of a cent are carried over."},
        },
    ),
    "PurchaseResults": _results("PurchaseResult"),
    "RefundResult": _object(
        ["refund_id", "order_id", "outcome", "amount_cents", "taken_cents"],
        {
            "refund_id": {"type": ["string", "null"]},
            "order_id": {"type": "string"},
            "outcome": {
                "enum": [*(str(each) for each in RefundOutcome), "refused"],
                "description": "`taken_back`: the referrer's cashback was reduced; `nobody_earned` by the order;"
                " `repeated`: it was already reported; `kept`: its order is not known yet, and it is applied when the"
                " purchase comes; `given_back`: a dispute was won; `refused`: see `detail`, and nothing was changed.",
            },
            "amount_cents": {"type": "integer"},
            "taken_cents": {"type": "integer", "description": "The reduction of the cashback earned."},
            "detail": {"type": "string"},
            "type": {
                "type": "string",
                "format": "uri-reference",
                "description": "The kind of problem, if there is one.",
            },
        },
    ),
    "RefundResults": _results("RefundResult"),
    "Problem": _object(
        ["type", "title", "status", "detail"],
        {
            "type": {"type": "string", "format": "uri-reference"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "pointer": {"type": "string", "description": "The JSON pointer of the value that is wrong."},
        },
        is_closed=False,
    ),
}

_HEADERS: Final = (
    (KEY_HEADER, "The name of the key.", {"type": "string", "minLength": 1}),
    (TIMESTAMP_HEADER, "Seconds since 1970, now.", {"type": "string", "pattern": "^[0-9]{1,12}$"}),
    (
        SIGNATURE_HEADER,
        "`v1=` and the HMAC-SHA256, in hexadecimal digits, of the timestamp, a full stop and the body.",
        {"type": "string", "pattern": "^v1=[0-9a-fA-F]{64}$"},
    ),
)
_SIGNED: Final = [
    {"name": name, "in": "header", "required": True, "description": description, "schema": schema}
    for name, description, schema in _HEADERS
]

EXPLAINED: Final[dict[Kind, str]] = {
    problems.MALFORMED: "The body is not JSON.",
    problems.UNSIGNED: "A header is missing, or the signature does not belong to this key, timestamp and body.",
    problems.STALE: f"The timestamp is more than {WINDOW_SECONDS} seconds away from this machine's clock. Sign again.",
    problems.UNVERIFIED: "A shop's delivery is not signed with its secret. Compare the secret there with the one here.",
    problems.UNREADABLE: "A value of a shop's delivery is missing or not what it should be. It is listed as such.",
    problems.NOT_FOUND: "The address is wrong.",
    problems.METHOD: "The intake takes POST only.",
    problems.SLOW: f"The body did not arrive within {BODY_SECONDS} seconds.",
    problems.CONFLICTING: "This order or refund was reported with other contents. Nothing was changed.",
    problems.NOT_KNOWN_YET: "The refund is kept, and applied when its purchase comes. Send it again later.",
    problems.NOTHING_LEFT: "All of the order was refunded before. Nothing was changed.",
    problems.TOO_MUCH: "What was left of the order was refunded. The result has this type, and the status is 200.",
    problems.NOT_DONE: "The refund is not valid. Nothing was changed.",
    problems.REPLAYED: "A request with this signature was already recorded. To try again, sign the request again.",
    problems.TOO_LARGE: f"The body is larger than {LARGEST_BODY_BYTES} bytes. Send it in parts.",
    problems.MEDIA_TYPE: "The Content-Type is not application/json.",
    problems.INVALID: "A value is not valid; `pointer` names it. Nothing of the request was recorded.",
    problems.TOO_MANY: "Too many requests from this address were refused. Wait for the seconds in Retry-After.",
    problems.FAILED: "An error in this program; its log has the details. Try again later.",
    problems.UNAVAILABLE: "The ledger is not available, or too many requests are open. Try again later.",
}
"""Every kind of problem, explained for people."""


def _operation(name: str, summary: str, *, one: str, many: str, otherwise: tuple[str, ...] = ()) -> Json:
    answers: Json = {
        "200": {
            "description": "Recorded, now or before. The entries of one request are recorded together or not at all.",
            "content": {"application/json": {"schema": {"anyOf": [_schema(f"{one}Result"), _schema(f"{one}Results")]}}},
        }
    }
    for kind in EXPLAINED:
        status = str(kind.status)
        if kind not in {problems.NOT_FOUND, problems.METHOD} and status not in answers:
            titles = [each.title for each in EXPLAINED if each.status == kind.status]
            answers[status] = {
                "description": "; ".join(titles),
                "content": {"application/problem+json": {"schema": _schema("Problem")}},
            }
    return {
        "post": {
            "operationId": name,
            "summary": summary,
            "parameters": _SIGNED,
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": _any_of([one, *otherwise, many])}},
            },
            "responses": answers,
        }
    }


def document(address: str) -> Json:
    """Return the OpenAPI 3.1 document of the intake at an address."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Cashback intake",
            "version": "1",
            "description": "Shops report purchases and refunds. A repeated report counts once.",
        },
        "servers": [{"url": address}],
        "paths": {
            "/api/v1/purchases": _operation(
                "report_purchases", "Report one purchase, or many.", one="Purchase", many="Purchases"
            ),
            "/api/v1/refunds": _operation(
                "report_refunds",
                "Report one refund, or many.",
                one="Refund",
                many="Refunds",
                otherwise=("RefundInAll",),
            ),
        },
        "components": {"schemas": SCHEMAS},
    }


class Description:
    """The pages of the description."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._document = document(settings.dashboard.address)

    def routes(self) -> list[web.RouteDef]:
        """List the addresses."""
        return [web.get("/api/openapi.json", self.for_machines), web.get("/api/docs", self.for_people)]

    async def for_machines(self, request: web.Request) -> web.StreamResponse:
        """Send the document."""
        return web.Response(body=json.dumps(self._document).encode(), content_type="application/json")

    async def for_people(self, request: web.Request) -> web.StreamResponse:
        """Show the page."""
        return await page(
            request,
            "api.html",
            now=self._database.now(),
            document=self._document,
            headers=_HEADERS,
            entries={"/api/v1/purchases": ("Purchase",), "/api/v1/refunds": ("Refund", "RefundInAll")},
            explained=EXPLAINED,
            window_seconds=WINDOW_SECONDS,
            max_entries=MAX_ENTRIES,
            largest_bytes=LARGEST_BODY_BYTES,
        )
