"""Signatures made and checked by the shops' own libraries, which know nothing of this program."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import polar.webhooks
import pytest
import standardwebhooks
import stripe
from square.utils.webhooks_helper import verify_signature

from cashback.shops.webhooks import KINDS
from cashback.shops.webhooks.kind import Delivery, UnverifiedError
from sandbox.shop import Order, Request, sender_of

URL: Final = "https://cashback.example.com/api/v1/shops/store"
ORDER: Final = Order(number=1001, goods_cents=10_000, tax_cents=1_900, discord_id=222222222222222222)
PLAIN: Final = "a-secret-of-this-shop-0123456789"
ENCODED: Final = f"whsec_{base64.b64encode(b'k' * 24).decode()}"

Check = Callable[[Request, str], None]
"""Raises if a vendor's library refuses a delivery that was signed with this secret."""


def _stripe(request: Request, secret: str) -> None:
    stripe.Webhook.construct_event(request.body, request.headers["Stripe-Signature"], secret)


def _standard(request: Request, secret: str) -> None:
    standardwebhooks.Webhook(secret).verify(request.body.decode(), dict(request.headers))


def _polar(request: Request, secret: str) -> None:
    polar.webhooks.validate_event(
        request.body, dict(request.headers), secret, frozenset({"order.paid"}), lambda payload: payload
    )


def _square(request: Request, secret: str) -> None:
    header = request.headers["x-square-hmacsha256-signature"]
    if not verify_signature(
        request_body=request.body.decode(), signature_header=header, signature_key=secret, notification_url=URL
    ):
        raise ValueError("refused")


VENDORS: Final[dict[str, tuple[str, str, Check]]] = {
    "Stripe": ("stripe", PLAIN, _stripe),
    "Standard Webhooks": ("standard-webhooks", ENCODED, _standard),
    "Polar": ("standard-webhooks", "polar_whs_" + "x" * 32, _polar),
    "Polar, of the standard's form": ("standard-webhooks", ENCODED, _polar),
    "Square": ("square", PLAIN, _square),
}
"""The kind, a secret, and the check of each library."""


def _ours(kind: str, request: Request, secret: str) -> None:
    headers = {name.lower(): value for name, value in request.headers.items()}
    delivery = Delivery(headers=headers, body=request.body, now=datetime.now(UTC), url=URL)
    KINDS[kind].verify(delivery, [secret.encode()])


def _changed(body: bytes) -> list[bytes]:
    """Return a body truncated, extended, and encoded otherwise."""
    return [
        body[:-1],
        body + b" ",
        json.dumps(json.loads(body)).encode(),
        body.replace(b"222222222222222222", b"333333333333333333"),
    ]


@pytest.mark.parametrize("vendor", VENDORS)
def test_vendors_library_accepts_what_the_sandbox_signs_as_we_do(vendor: str) -> None:
    kind, secret, check = VENDORS[vendor]
    request = sender_of(kind, secret, URL).paid(ORDER, datetime.now(UTC))
    check(request, secret)
    _ours(kind, request, secret)


@pytest.mark.parametrize("vendor", VENDORS)
def test_vendors_library_refuses_what_we_refuse(vendor: str) -> None:
    kind, secret, check = VENDORS[vendor]
    request = sender_of(kind, secret, URL).paid(ORDER, datetime.now(UTC))
    other = f"whsec_{base64.b64encode(b'o' * 24).decode()}"
    refused = [(Request(body=body, headers=request.headers), secret) for body in _changed(request.body)]
    for each, its_secret in [*refused, (request, other)]:
        assert each.body != request.body or its_secret == other
        with pytest.raises(UnverifiedError):
            _ours(kind, each, its_secret)
        with pytest.raises(Exception):  # noqa: B017 -- each library's own
            check(each, its_secret)


def test_polar_secret_of_the_standards_form_may_be_the_key_itself() -> None:
    """Polar's library tries the whole secret first, and then what is base64 in it."""
    now = datetime.now(UTC)
    body, at = sender_of("standard-webhooks", ENCODED, URL).paid(ORDER, now).body, str(int(now.timestamp()))
    digest = hmac.digest(ENCODED.encode(), f"msg_1.{at}.".encode() + body, "sha256")
    signature = f"v1,{base64.b64encode(digest).decode()}"
    request = Request(
        body=body, headers={"webhook-id": "msg_1", "webhook-timestamp": at, "webhook-signature": signature}
    )
    _polar(request, ENCODED)
    _ours("standard-webhooks", request, ENCODED)
