"""Lemon Squeezy: orders with all that was refunded of them. It knows no disputes."""

from collections.abc import Mapping
from datetime import datetime

from sandbox.shop.orders import Order, Refund
from sandbox.shop.system import ShopSystem, as_json, hexadecimal


class LemonSqueezy(ShopSystem):
    """Lemon Squeezy: orders with all that was refunded of them. It knows no disputes."""

    parameter = "checkout[custom][discord_id]"

    def _order(self, order: Order, topic: str, refunded_cents: int) -> bytes:
        custom = {} if order.discord_id is None else {"custom_data": {"discord_id": str(order.discord_id)}}
        return as_json(
            {
                "meta": {"event_name": topic, "test_mode": order.is_test, **custom},
                "data": {
                    "type": "orders",
                    "id": str(order.number),
                    "attributes": {
                        "currency": order.currency,
                        "subtotal": order.goods_cents,
                        "tax": order.tax_cents,
                        "total": order.total_cents,
                        "refunded_amount": refunded_cents,
                        "status": "refunded" if refunded_cents == order.total_cents else "paid",
                        "user_email": order.email,
                        "created_at": order.moment,
                        "test_mode": order.is_test,
                    },
                },
            }
        )

    def paid(self, order: Order) -> bytes:
        """Report a new order."""
        return self._order(order, "order_created", 0)

    def refunded(self, order: Order, refund: Refund) -> bytes:
        """Report an order with all that was refunded of it."""
        return self._order(order, "order_refunded", refund.in_all_cents)

    def headers(self, body: bytes, _url: str, _now: datetime, _delivery_id: str) -> Mapping[str, str]:
        """Sign a body."""
        return {"X-Signature": hexadecimal(self.secret, body)}
