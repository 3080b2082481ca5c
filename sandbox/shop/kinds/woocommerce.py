"""WooCommerce: always the whole order, with its status and its refunds so far. It knows no disputes."""

from collections.abc import Mapping
from datetime import datetime

from sandbox.shop.orders import Order, Refund, decimal
from sandbox.shop.system import ShopSystem, as_json, in_base64


class WooCommerce(ShopSystem):
    """WooCommerce: always the whole order, with its status and its refunds so far. It knows no disputes."""

    def _order(self, order: Order, status: str, refunds: list[Refund]) -> bytes:
        meta = [{"id": 1, "key": "_wcpay_mode", "value": "test" if order.is_test else "prod"}]
        if order.discord_id is not None:
            meta.append({"id": 2, "key": "discord_id", "value": str(order.discord_id)})
        return as_json(
            {
                "id": order.number,
                "number": str(order.number),
                "status": status,
                "currency": order.currency,
                "total": decimal(order.total_cents),
                "total_tax": decimal(order.tax_cents),
                "shipping_total": decimal(order.shipping_cents),
                "date_paid_gmt": order.moment.removesuffix("Z"),
                "billing": {"email": order.email},
                "meta_data": meta,
                "refunds": [{"id": one.number, "reason": "", "total": f"-{decimal(one.cents)}"} for one in refunds],
            }
        )

    def paid(self, order: Order) -> bytes:
        """Report an order that is being processed."""
        return self._order(order, "processing", [])

    def refunded(self, order: Order, refund: Refund) -> bytes:
        """Report an order with its refunds; one that is refunded in all has that status."""
        before = refund.in_all_cents - refund.cents
        refunds = [Refund(number=refund.number - 1, cents=before, in_all_cents=before)] if before else []
        status = "refunded" if refund.in_all_cents == order.total_cents else "completed"
        return self._order(order, status, [*refunds, refund])

    def headers(self, body: bytes, _url: str, _now: datetime, delivery_id: str) -> Mapping[str, str]:
        """Sign a body."""
        return {
            "X-WC-Webhook-Signature": in_base64(self.secret, body),
            "X-WC-Webhook-Topic": "order.updated",
            "X-WC-Webhook-Delivery-ID": delivery_id,
        }
