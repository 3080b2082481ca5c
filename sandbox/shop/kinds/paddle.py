"""Paddle Billing: transactions and adjustments."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sandbox.shop.orders import Order, Refund
from sandbox.shop.system import ShopSystem, as_json, hexadecimal


class Paddle(ShopSystem):
    """Paddle Billing: transactions and adjustments."""

    def _event(self, order: Order, name: str, topic: str, data: dict[str, Any]) -> bytes:
        return as_json(
            {
                "event_id": f"evt_{order.number}_{name}",
                "event_type": topic,
                "occurred_at": order.moment,
                "data": {"currency_code": order.currency, **data},
            }
        )

    def paid(self, order: Order) -> bytes:
        """Report a completed transaction."""
        data = {
            "id": f"txn_{order.number}",
            "status": "completed",
            "custom_data": None if order.discord_id is None else {"discord_id": str(order.discord_id)},
            "billed_at": order.moment,
            "details": {
                "totals": {
                    "subtotal": str(order.goods_cents + order.shipping_cents),
                    "tax": str(order.tax_cents),
                    "total": str(order.total_cents),
                }
            },
        }
        return self._event(order, "paid", "transaction.completed", data)

    def _adjustment(self, order: Order, name: str, action: str, cents: int) -> bytes:
        tax = cents * order.tax_cents // order.total_cents
        data = {
            "id": f"adj_{order.number}_{name}",
            "action": action,
            "transaction_id": f"txn_{order.number}",
            "status": "approved",
            "totals": {"subtotal": str(cents - tax), "tax": str(tax), "total": str(cents)},
        }
        return self._event(order, name, "adjustment.updated", data)

    def refunded(self, order: Order, refund: Refund) -> bytes:
        """Report an approved refund."""
        return self._adjustment(order, f"refund{refund.number}", "refund", refund.cents)

    def disputed(self, order: Order) -> bytes:
        """Report a chargeback."""
        return self._adjustment(order, "chargeback", "chargeback", order.total_cents)

    def dispute_won(self, order: Order) -> bytes:
        """Report that a chargeback was reversed."""
        return self._adjustment(order, "reverse", "chargeback_reverse", order.total_cents)

    def order_id(self, order: Order) -> str:
        """Return the id under which refunds name an order."""
        return f"txn_{order.number}"

    def headers(self, body: bytes, _url: str, now: datetime, _delivery_id: str) -> Mapping[str, str]:
        """Sign a body."""
        at = int(now.timestamp())
        signature = hexadecimal(self.secret, f"{at}:".encode() + body)
        return {"Paddle-Signature": f"ts={at};h1={signature}"}
