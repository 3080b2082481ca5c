"""Tebex: payments. A refund is always of the whole payment."""

import hashlib
from collections.abc import Mapping
from datetime import datetime

from sandbox.shop.orders import Order, Refund
from sandbox.shop.system import ShopSystem, as_json, hexadecimal, id_in


class Tebex(ShopSystem):
    """Tebex: payments. A refund is always of the whole payment."""

    def _event(self, order: Order, topic: str) -> bytes:
        custom = {"discord_id": id_in(order)} if order.discord_id is not None else None
        return as_json(
            {
                "id": f"{order.number}-{topic}",
                "type": topic,
                "date": order.moment,
                "subject": {
                    "transaction_id": f"tbx-{order.number}",
                    "created_at": order.moment,
                    "price": {"amount": order.total_cents / 100, "currency": order.currency},
                    "price_paid": {"amount": order.total_cents / 100, "currency": order.currency},
                    "fees": {"tax": {"amount": order.tax_cents / 100, "currency": order.currency}},
                    "customer": {"email": order.email},
                    "products": [{"id": 1, "name": "Rank", "quantity": 1, "custom": custom}],
                },
            }
        )

    def paid(self, order: Order) -> bytes:
        """Report a completed payment."""
        return self._event(order, "payment.completed")

    def refunded(self, order: Order, refund: Refund) -> bytes | None:
        """Report a refund, if it is of the whole payment."""
        return self._event(order, "payment.refunded") if refund.in_all_cents == order.total_cents else None

    def disputed(self, order: Order) -> bytes:
        """Report a new dispute."""
        return self._event(order, "payment.dispute.opened")

    def dispute_won(self, order: Order) -> bytes:
        """Report a dispute that was won."""
        return self._event(order, "payment.dispute.won")

    def order_id(self, order: Order) -> str:
        """Return the id under which refunds name an order."""
        return f"tbx-{order.number}"

    def headers(self, body: bytes, _url: str, _now: datetime, _delivery_id: str) -> Mapping[str, str]:
        """Sign a body."""
        return {"X-Signature": hexadecimal(self.secret, hashlib.sha256(body).hexdigest().encode())}
