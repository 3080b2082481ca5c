"""Shopify: orders, refunds and disputes, each a body of its own."""

from collections.abc import Mapping
from datetime import datetime

from sandbox.shop.orders import Order, Refund, decimal
from sandbox.shop.system import ShopSystem, as_json, id_in, in_base64


class Shopify(ShopSystem):
    """Shopify: orders, refunds and disputes, each a body of its own."""

    parameter = "attributes[discord_id]"

    def paid(self, order: Order) -> bytes:
        """Report a paid order."""
        attributes = [{"name": "discord_id", "value": id_in(order)}] if order.discord_id is not None else []
        return as_json(
            {
                "id": order.number,
                "name": f"#{order.number}",
                "email": order.email,
                "currency": order.currency,
                "financial_status": "paid",
                "cancelled_at": None,
                "test": order.is_test,
                "taxes_included": False,
                "subtotal_price": decimal(order.goods_cents),
                "total_tax": decimal(order.tax_cents),
                "total_price": decimal(order.total_cents),
                "note_attributes": attributes,
                "line_items": [{"id": order.number * 10, "price": decimal(order.goods_cents), "quantity": 1}],
                "processed_at": order.moment,
                "refunds": [],
            }
        )

    def refunded(self, order: Order, refund: Refund) -> bytes:
        """Report one refund."""
        return as_json(
            {
                "id": refund.number,
                "order_id": order.number,
                "refund_line_items": [],
                "order_adjustments": [],
                "transactions": [
                    {
                        "id": refund.number * 10,
                        "kind": "refund",
                        "status": "success",
                        "amount": decimal(refund.cents),
                        "currency": order.currency,
                        "test": order.is_test,
                    }
                ],
            }
        )

    def _dispute(self, order: Order, status: str) -> bytes:
        return as_json(
            {
                "id": order.number + 500_000,
                "order_id": order.number,
                "type": "chargeback",
                "amount": decimal(order.total_cents),
                "currency": order.currency,
                "status": status,
                "evidence_due_by": order.moment,
            }
        )

    def disputed(self, order: Order) -> bytes:
        """Report a new dispute."""
        return self._dispute(order, "needs_response")

    def dispute_won(self, order: Order) -> bytes:
        """Report a dispute that was won."""
        return self._dispute(order, "won")

    def headers(self, body: bytes, _url: str, _now: datetime, delivery_id: str) -> Mapping[str, str]:
        """Sign a body."""
        return {
            "X-Shopify-Hmac-Sha256": in_base64(self.secret, body),
            "X-Shopify-Webhook-Id": delivery_id,
            "X-Shopify-Shop-Domain": "example.myshopify.com",
        }
