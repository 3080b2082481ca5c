"""Signs a shop's bodies as its maker does, and makes the requests that it sends."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sandbox.shop import bodies, more_bodies
from sandbox.shop.orders import Order, Refund

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A POST request to the address that the shop was given."""

    body: bytes
    headers: Mapping[str, str]
    query: str = ""


Sign = Callable[[bytes, bytes, str, datetime, str], Mapping[str, str]]
"""Signs (secret, body, address, now, id) and returns the headers."""


def _hex(secret: bytes, message: bytes) -> str:
    return hmac.new(secret, message, hashlib.sha256).hexdigest()


def _base64(secret: bytes, message: bytes) -> str:
    return base64.b64encode(hmac.new(secret, message, hashlib.sha256).digest()).decode()


def _stripe(secret: bytes, body: bytes, _url: str, now: datetime, _id: str) -> Mapping[str, str]:
    at = int(now.timestamp())
    return {"Stripe-Signature": f"t={at},v1={_hex(secret, f'{at}.'.encode() + body)},v0=not-used"}


def _shopify(secret: bytes, body: bytes, _url: str, _now: datetime, delivery_id: str) -> Mapping[str, str]:
    return {
        "X-Shopify-Hmac-Sha256": _base64(secret, body),
        "X-Shopify-Webhook-Id": delivery_id,
        "X-Shopify-Shop-Domain": "example.myshopify.com",
    }


def _woocommerce(secret: bytes, body: bytes, _url: str, _now: datetime, delivery_id: str) -> Mapping[str, str]:
    return {
        "X-WC-Webhook-Signature": _base64(secret, body),
        "X-WC-Webhook-Topic": "order.updated",
        "X-WC-Webhook-Delivery-ID": delivery_id,
    }


def _tebex(secret: bytes, body: bytes, _url: str, _now: datetime, _id: str) -> Mapping[str, str]:
    return {"X-Signature": _hex(secret, hashlib.sha256(body).hexdigest().encode())}


def _unsigned(_secret: bytes, _body: bytes, _url: str, _now: datetime, _id: str) -> Mapping[str, str]:
    return {}


def _standard(secret: bytes, body: bytes, _url: str, now: datetime, delivery_id: str) -> Mapping[str, str]:
    at = int(now.timestamp())
    key = base64.b64decode(secret.removeprefix(b"whsec_")) if secret.startswith(b"whsec_") else secret
    signature = _base64(key, f"{delivery_id}.{at}.".encode() + body)
    return {"webhook-id": delivery_id, "webhook-timestamp": str(at), "webhook-signature": f"v1,{signature}"}


def _lemon_squeezy(secret: bytes, body: bytes, _url: str, _now: datetime, _id: str) -> Mapping[str, str]:
    return {"X-Signature": _hex(secret, body)}


def _paddle(secret: bytes, body: bytes, _url: str, now: datetime, _id: str) -> Mapping[str, str]:
    at = int(now.timestamp())
    return {"Paddle-Signature": f"ts={at};h1={_hex(secret, f'{at}:'.encode() + body)}"}


def _square(secret: bytes, body: bytes, url: str, _now: datetime, _id: str) -> Mapping[str, str]:
    return {"x-square-hmacsha256-signature": _base64(secret, url.encode() + body)}


def _own_program(secret: bytes, body: bytes, _url: str, now: datetime, _id: str) -> Mapping[str, str]:
    at = int(now.timestamp())
    signature = _hex(secret, f"{at}.".encode() + body)
    return {"Cashback-Timestamp": str(at), "Cashback-Signature": f"v1={signature}"}


_KINDS: Final[Mapping[str, tuple[Callable[[str], bodies.Bodies], Sign]]] = {
    "stripe": (lambda _: bodies.Stripe(), _stripe),
    "shopify": (lambda _: bodies.Shopify(), _shopify),
    "woocommerce": (lambda _: bodies.WooCommerce(), _woocommerce),
    "tebex": (lambda _: bodies.Tebex(), _tebex),
    "ko-fi": (bodies.KoFi, _unsigned),
    "standard-webhooks": (lambda _: more_bodies.Polar(), _standard),
    "lemon-squeezy": (lambda _: more_bodies.LemonSqueezy(), _lemon_squeezy),
    "paddle": (lambda _: more_bodies.Paddle(), _paddle),
    "gumroad": (lambda _: more_bodies.Gumroad(), _unsigned),
    "square": (lambda _: more_bodies.Square(), _square),
    "api": (lambda _: more_bodies.OwnProgram(), _own_program),
}
KINDS: Final = tuple(_KINDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Makes one shop's requests. `url` is the address that the shop was given."""

    kind: str
    secret: str
    url: str
    bodies: bodies.Bodies

    def paid(self, order: Order, now: datetime) -> Request:
        """Report a paid order."""
        return self.request(self.bodies.paid(order), now, f"{order.number}-paid")

    def refunded(self, order: Order, refund: Refund, now: datetime) -> Request | None:
        """Report a refund; None if this system does not report it."""
        return self._optional(self.bodies.refunded(order, refund), now, f"{order.number}-refund{refund.number}")

    def disputed(self, order: Order, now: datetime) -> Request | None:
        """Report a dispute; None if this system does not report it."""
        return self._optional(self.bodies.disputed(order), now, f"{order.number}-dispute")

    def dispute_won(self, order: Order, now: datetime) -> Request | None:
        """Report a dispute that was won; None if this system does not report it."""
        return self._optional(self.bodies.dispute_won(order), now, f"{order.number}-won")

    def _optional(self, body: bytes | None, now: datetime, name: str) -> Request | None:
        return None if body is None else self.request(body, now, name)

    def request(self, body: bytes, now: datetime, delivery_id: str) -> Request:
        """Sign a body."""
        sign = _KINDS[self.kind][1]
        headers = sign(self.secret.encode(), body, self.url, now, delivery_id)
        content_type = FORM if self.kind in {"ko-fi", "gumroad"} else JSON
        query = f"?secret={self.secret}" if self.kind == "gumroad" else ""
        return Request(body=body, headers={"Content-Type": content_type, **headers}, query=query)


def sender_of(kind: str, secret: str, url: str) -> Sender:
    """Return what makes the requests of a shop of this kind."""
    return Sender(kind=kind, secret=secret, url=url, bodies=_KINDS[kind][0](secret))
