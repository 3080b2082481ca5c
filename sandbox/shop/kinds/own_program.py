"""A program that its owner wrote for the signed API."""

from collections.abc import Mapping
from datetime import datetime

from sandbox.shop.orders import Order, Refund
from sandbox.shop.system import ShopSystem, as_json, hexadecimal


class OwnProgram(ShopSystem):
    """A program that its owner wrote for the signed API."""

    def _event(self, order: Order, event: str, **values: object) -> bytes:
        body = {"event": event, "order_id": str(order.number), "currency": order.currency, "test": order.is_test}
        return as_json({**body, **values})

    def paid(self, order: Order) -> bytes:
        """Report a paid order."""
        buyer = {} if order.discord_id is None else {"discord_id": str(order.discord_id)}
        return self._event(order, "paid", amount_cents=order.goods_cents, at=order.moment, email=order.email, **buyer)

    def refunded(self, order: Order, refund: Refund) -> bytes:
        """Report one refund."""
        return self._event(order, "refunded", amount_cents=refund.cents, refund_id=f"r{refund.number}")

    def disputed(self, order: Order) -> bytes:
        """Report a dispute."""
        return self._event(order, "disputed")

    def dispute_won(self, order: Order) -> bytes:
        """Report a dispute that was won."""
        return self._event(order, "dispute_won")

    def headers(self, body: bytes, _url: str, now: datetime, _delivery_id: str) -> Mapping[str, str]:
        """Sign a body."""
        at = int(now.timestamp())
        signature = hexadecimal(self.secret, f"{at}.".encode() + body)
        return {"Cashback-Timestamp": str(at), "Cashback-Signature": f"v1={signature}"}
