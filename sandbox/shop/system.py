"""A shop system: the bodies of its deliveries, as its maker documents them, and how it signs them."""

import base64
import hashlib
import hmac
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Final

from sandbox.shop.orders import Order, Refund

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
ANYWHERE: Final = "discord_id"


class ShopSystem(ABC):
    """One shop system. A body of None is one that it does not send."""

    content_type: ClassVar[str] = JSON
    parameter: ClassVar[str] = ANYWHERE
    """The name under which its pages take a member's id from their address."""

    def __init__(self, secret: str) -> None:
        self.secret = secret.encode()

    @abstractmethod
    def paid(self, order: Order) -> bytes:
        """Report a paid order."""

    def refunded(self, _order: Order, _refund: Refund) -> bytes | None:
        """Report a refund of a part or of all."""
        return None

    def disputed(self, _order: Order) -> bytes | None:
        """Report that the buyer's bank took the money back."""
        return None

    def dispute_won(self, _order: Order) -> bytes | None:
        """Report that the shop has the money again."""
        return None

    def order_id(self, order: Order) -> str:
        """Return the id under which refunds name an order."""
        return str(order.number)

    def headers(self, _body: bytes, _url: str, _now: datetime, _delivery_id: str) -> Mapping[str, str]:
        """Sign a body."""
        return {}

    @property
    def query(self) -> str:
        """Return what the shop's owner added to the address."""
        return ""


def hexadecimal(secret: bytes, message: bytes) -> str:
    """Sign a message, in hexadecimal digits."""
    return hmac.new(secret, message, hashlib.sha256).hexdigest()


def in_base64(secret: bytes, message: bytes) -> str:
    """Sign a message, in base64."""
    return base64.b64encode(hmac.new(secret, message, hashlib.sha256).digest()).decode()


def as_json(value: Any) -> bytes:  # noqa: ANN401 -- whatever JSON holds
    """Write a body as shops do, without spaces."""
    return json.dumps(value, separators=(",", ":")).encode()


def id_in(order: Order) -> str | None:
    """Return the member's id of an order as a text; None if there is none."""
    return str(order.discord_id) if order.discord_id is not None else None
