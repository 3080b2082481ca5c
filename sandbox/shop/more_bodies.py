"""The bodies of further shop systems' deliveries."""

import json
from typing import Any
from urllib.parse import urlencode

from sandbox.shop.orders import Order, Refund


def _json(value: Any) -> bytes:  # noqa: ANN401 -- whatever JSON holds
    return json.dumps(value, separators=(",", ":")).encode()


class Polar:
    """Polar, by Standard Webhooks. It knows no disputes."""

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
        return _json({"type": topic, "timestamp": order.moment, "data": data})

    def paid(self, order: Order) -> bytes:
        """Report a paid order."""
        return self._order(order, "order.paid", None)

    def refunded(self, order: Order, refund: Refund) -> bytes:
        """Report an order with all that was refunded of it."""
        return self._order(order, "order.refunded", refund)

    def disputed(self, _order: Order) -> None:
        """Report nothing."""

    def dispute_won(self, _order: Order) -> None:
        """Report nothing."""


class LemonSqueezy:
    """Lemon Squeezy: orders with all that was refunded of them. It knows no disputes."""

    def _order(self, order: Order, topic: str, refunded_cents: int) -> bytes:
        custom = {} if order.discord_id is None else {"custom_data": {"discord_id": str(order.discord_id)}}
        return _json(
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

    def disputed(self, _order: Order) -> None:
        """Report nothing."""

    def dispute_won(self, _order: Order) -> None:
        """Report nothing."""


class Paddle:
    """Paddle Billing: transactions and adjustments."""

    def _event(self, order: Order, name: str, topic: str, data: dict[str, Any]) -> bytes:
        return _json(
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


class Gumroad:
    """Gumroad: forms. A refund says only that all of the sale was refunded."""

    def _form(self, order: Order, resource: str, *, refunded: bool = False) -> bytes:
        fields = {
            "seller_id": "seller==",
            "email": order.email,
            "price": str(order.total_cents),
            "currency": order.currency.lower(),
            "sale_id": f"sale-{order.number}==",
            "sale_timestamp": order.moment,
            "resource_name": resource,
            "refunded": str(refunded).lower(),
            "disputed": str(resource.startswith("dispute")).lower(),
        }
        if order.discord_id is not None:
            fields["url_params[discord_id]"] = str(order.discord_id)
        if order.is_test:
            fields["test"] = "true"
        return urlencode(fields).encode()

    def paid(self, order: Order) -> bytes:
        """Report a sale."""
        return self._form(order, "sale")

    def refunded(self, order: Order, refund: Refund) -> bytes | None:
        """Report a refund, if it is of the whole sale."""
        is_whole = refund.in_all_cents == order.total_cents
        return self._form(order, "refund", refunded=True) if is_whole else None

    def disputed(self, order: Order) -> bytes:
        """Report a dispute."""
        return self._form(order, "dispute")

    def dispute_won(self, order: Order) -> bytes:
        """Report a dispute that was won."""
        return self._form(order, "dispute_won")


class Square:
    """Square: payments, refunds and disputes."""

    def _event(self, order: Order, name: str, topic: str, thing: str, data: dict[str, Any]) -> bytes:
        return _json(
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


class OwnProgram:
    """A program that its owner wrote for the signed API."""

    def _event(self, order: Order, event: str, **values: object) -> bytes:
        body = {"event": event, "order_id": str(order.number), "currency": order.currency, "test": order.is_test}
        return _json({**body, **values})

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
