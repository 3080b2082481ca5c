"""Polar, by Standard Webhooks. It knows no disputes."""

import base64
from collections.abc import Mapping
from datetime import datetime

from sandbox.shop.orders import Order, Refund
from sandbox.shop.system import ShopSystem, as_json, in_base64


class Polar(ShopSystem):
    """Polar, by Standard Webhooks. It knows no disputes."""

    parameter = "reference_id"

    def _order(self, order: Order, topic: str, refund: Refund | None) -> bytes:
        in_all = refund.in_all_cents if refund else 0
        tax = 0 if not in_all else in_all * order.tax_cents // order.total_cents
        is_whole = in_all == order.total_cents
        data = {
            "id": f"polar-{order.number}",
            "created_at": order.moment,
            "status": "paid" if refund is None else "refunded" if is_whole else "partially_refunded",
            "net_amount": order.goods_cents + order.shipping_cents,
            "tax_amount": order.tax_cents,
            "total_amount": order.total_cents,
            "refunded_amount": in_all - tax,
            "refunded_tax_amount": tax,
            "currency": order.currency.lower(),
            "metadata": {} if order.discord_id is None else {"discord_id": str(order.discord_id)},
            "customer": {"email": order.email, "external_id": None},
        }
        return as_json({"type": topic, "timestamp": order.moment, "data": data})

    def paid(self, order: Order) -> bytes:
        """Report a paid order."""
        return self._order(order, "order.paid", None)

    def refunded(self, order: Order, refund: Refund) -> bytes:
        """Report an order with all that was refunded of it."""
        return self._order(order, "order.refunded", refund)

    def order_id(self, order: Order) -> str:
        """Return the id under which refunds name an order."""
        return f"polar-{order.number}"

    def headers(self, body: bytes, _url: str, now: datetime, delivery_id: str) -> Mapping[str, str]:
        """Sign a body."""
        at, secret = int(now.timestamp()), self.secret
        key = base64.b64decode(secret.removeprefix(b"whsec_")) if secret.startswith(b"whsec_") else secret
        signature = in_base64(key, f"{delivery_id}.{at}.".encode() + body)
        return {"webhook-id": delivery_id, "webhook-timestamp": str(at), "webhook-signature": f"v1,{signature}"}
