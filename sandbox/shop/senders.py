"""Makes the requests of a shop of each kind: its bodies, signed as its maker does it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sandbox.shop.kinds.gumroad import Gumroad
from sandbox.shop.kinds.ko_fi import KoFi
from sandbox.shop.kinds.lemon_squeezy import LemonSqueezy
from sandbox.shop.kinds.own_program import OwnProgram
from sandbox.shop.kinds.paddle import Paddle
from sandbox.shop.kinds.polar import Polar
from sandbox.shop.kinds.shopify import Shopify
from sandbox.shop.kinds.square import Square
from sandbox.shop.kinds.stripe import Stripe
from sandbox.shop.kinds.tebex import Tebex
from sandbox.shop.kinds.woocommerce import WooCommerce
from sandbox.shop.orders import Order, Refund
from sandbox.shop.system import ShopSystem


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A POST request to the address that the shop was given."""

    body: bytes
    headers: Mapping[str, str]
    query: str = ""


_SYSTEMS: Final[Mapping[str, type[ShopSystem]]] = {
    "stripe": Stripe,
    "shopify": Shopify,
    "woocommerce": WooCommerce,
    "tebex": Tebex,
    "ko-fi": KoFi,
    "standard-webhooks": Polar,
    "lemon-squeezy": LemonSqueezy,
    "paddle": Paddle,
    "gumroad": Gumroad,
    "square": Square,
    "api": OwnProgram,
}
KINDS: Final = tuple(_SYSTEMS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Makes one shop's requests. `url` is the address that the shop was given."""

    system: ShopSystem
    url: str

    def paid(self, order: Order, now: datetime) -> Request:
        """Report a paid order."""
        return self.request(self.system.paid(order), now, f"{order.number}-paid")

    def refunded(self, order: Order, refund: Refund, now: datetime) -> Request | None:
        """Report a refund; None if this system does not report it."""
        return self._optional(self.system.refunded(order, refund), now, f"{order.number}-refund{refund.number}")

    def disputed(self, order: Order, now: datetime) -> Request | None:
        """Report a dispute; None if this system does not report it."""
        return self._optional(self.system.disputed(order), now, f"{order.number}-dispute")

    def dispute_won(self, order: Order, now: datetime) -> Request | None:
        """Report a dispute that was won; None if this system does not report it."""
        return self._optional(self.system.dispute_won(order), now, f"{order.number}-won")

    def _optional(self, body: bytes | None, now: datetime, name: str) -> Request | None:
        return None if body is None else self.request(body, now, name)

    def request(self, body: bytes, now: datetime, delivery_id: str) -> Request:
        """Sign a body."""
        headers = self.system.headers(body, self.url, now, delivery_id)
        return Request(
            body=body, headers={"Content-Type": self.system.content_type, **headers}, query=self.system.query
        )


def sender_of(kind: str, secret: str, url: str) -> Sender:
    """Return what makes the requests of a shop of this kind."""
    return Sender(system=_SYSTEMS[kind](secret), url=url)


def order_id_of(kind: str, order: Order) -> str:
    """Return the id under which a kind's refunds name an order."""
    return _SYSTEMS[kind]("").order_id(order)
