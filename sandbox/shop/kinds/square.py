"""Square: payments, refunds and disputes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sandbox.shop.orders import Order, Refund
from sandbox.shop.system import ShopSystem, as_json, in_base64


class Square(ShopSystem):
    """Square: payments, refunds and disputes."""

    def _event(self, order: Order, name: str, topic: str, thing: str, data: dict[str, Any]) -> bytes:
        return as_json(
            {
                "merchant_id": "merchant",
                "type": topic,
                "event_id": f"{order.number}-{name}",
                "created_at": order.moment,
                "data": {"type": thing, "id": f"sq-{order.number}", "object": {thing: data}},
            }
        )

    def paid(self, order: Order) -> bytes:
        """Report a completed payment."""
        payment = {
            "id": f"sq-{order.number}",
            "status": "COMPLETED",
            "amount_money": {"amount": order.total_cents, "currency": order.currency},
            "created_at": order.moment,
            "buyer_email_address": order.email,
        }
        if order.discord_id is not None:
            payment["reference_id"] = str(order.discord_id)
        return self._event(order, "paid", "payment.updated", "payment", payment)

    def refunded(self, order: Order, refund: Refund) -> bytes:
        """Report a completed refund."""
        data = {
            "id": f"sq-{order.number}-refund{refund.number}",
            "payment_id": f"sq-{order.number}",
            "status": "COMPLETED",
            "amount_money": {"amount": refund.cents, "currency": order.currency},
        }
        return self._event(order, f"refund{refund.number}", "refund.updated", "refund", data)

    def _dispute(self, order: Order, state: str) -> dict[str, Any]:
        return {
            "dispute_id": f"sq-dispute-{order.number}",
            "state": state,
            "amount_money": {"amount": order.total_cents, "currency": order.currency},
            "disputed_payment": {"payment_id": f"sq-{order.number}"},
        }

    def disputed(self, order: Order) -> bytes:
        """Report a dispute."""
        dispute = self._dispute(order, "EVIDENCE_REQUIRED")
        return self._event(order, "dispute", "dispute.created", "dispute", dispute)

    def dispute_won(self, order: Order) -> bytes:
        """Report a dispute that was won."""
        return self._event(order, "won", "dispute.state.updated", "dispute", self._dispute(order, "WON"))

    def order_id(self, order: Order) -> str:
        """Return the id under which refunds name an order."""
        return f"sq-{order.number}"

    def headers(self, body: bytes, url: str, _now: datetime, _delivery_id: str) -> Mapping[str, str]:
        """Sign a body."""
        return {"x-square-hmacsha256-signature": in_base64(self.secret, url.encode() + body)}
