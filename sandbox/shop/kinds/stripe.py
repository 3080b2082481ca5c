"""Stripe: events with the object as it is then."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sandbox.shop.orders import Order, Refund
from sandbox.shop.system import ShopSystem, as_json, hexadecimal, id_in


class Stripe(ShopSystem):
    """Stripe: events with the object as it is then."""

    parameter = "client_reference_id"

    def _event(self, order: Order, name: str, topic: str, thing: dict[str, Any]) -> bytes:
        return as_json(
            {
                "id": f"evt_{order.number}_{name}",
                "object": "event",
                "api_version": "2025-09-30.clover",
                "created": int(order.at.timestamp()),
                "livemode": not order.is_test,
                "type": topic,
                "data": {"object": thing},
            }
        )

    def paid(self, order: Order) -> bytes:
        """Report a completed checkout."""
        session = {
            "id": f"cs_{order.number}",
            "object": "checkout.session",
            "mode": "payment",
            "payment_status": "paid",
            "payment_intent": f"pi_{order.number}",
            "client_reference_id": id_in(order),
            "metadata": {},
            "currency": order.currency.lower(),
            "amount_subtotal": order.goods_cents,
            "amount_total": order.total_cents,
            "total_details": {
                "amount_discount": 0,
                "amount_shipping": order.shipping_cents,
                "amount_tax": order.tax_cents,
            },
            "customer_details": {"email": order.email},
            "created": int(order.at.timestamp()),
        }
        return self._event(order, "paid", "checkout.session.completed", session)

    def refunded(self, order: Order, refund: Refund) -> bytes:
        """Report a charge with all that was refunded of it so far."""
        charge = {
            "id": f"ch_{order.number}",
            "object": "charge",
            "payment_intent": f"pi_{order.number}",
            "amount": order.total_cents,
            "amount_refunded": refund.in_all_cents,
            "refunded": refund.in_all_cents == order.total_cents,
            "currency": order.currency.lower(),
        }
        return self._event(order, f"refund{refund.number}", "charge.refunded", charge)

    def _dispute(self, order: Order, status: str) -> dict[str, Any]:
        return {
            "id": f"dp_{order.number}",
            "object": "dispute",
            "charge": f"ch_{order.number}",
            "payment_intent": f"pi_{order.number}",
            "amount": order.total_cents,
            "currency": order.currency.lower(),
            "status": status,
        }

    def disputed(self, order: Order) -> bytes:
        """Report a new dispute."""
        dispute = self._dispute(order, "needs_response")
        return self._event(order, "dispute", "charge.dispute.created", dispute)

    def dispute_won(self, order: Order) -> bytes:
        """Report a closed dispute."""
        return self._event(order, "won", "charge.dispute.closed", self._dispute(order, "won"))

    def order_id(self, order: Order) -> str:
        """Return the id under which refunds name an order."""
        return f"pi_{order.number}"

    def headers(self, body: bytes, _url: str, now: datetime, _delivery_id: str) -> Mapping[str, str]:
        """Sign a body."""
        at = int(now.timestamp())
        signature = hexadecimal(self.secret, f"{at}.".encode() + body)
        return {"Stripe-Signature": f"t={at},v1={signature},v0=not-used"}
