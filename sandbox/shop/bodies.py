"""The bodies of deliveries: what each shop system sends when an order is paid, refunded or disputed.

Each is as far as the maker's documentation shows it, with the members that a reader may look at and some more.
"""

import json
from typing import Any, Final, Protocol
from urllib.parse import urlencode

from sandbox.shop.orders import Order, Refund, decimal

STARTS: Final = 1_700_000_000


class Bodies(Protocol):
    """The bodies of one shop system; None if it reports nothing of the kind."""

    def paid(self, order: Order) -> bytes:
        """Report a paid order."""
        ...

    def refunded(self, order: Order, refund: Refund) -> bytes | None:
        """Report a refund of a part or of all."""
        ...

    def disputed(self, order: Order) -> bytes | None:
        """Report that the buyer's bank took the money back."""
        ...

    def dispute_won(self, order: Order) -> bytes | None:
        """Report that the shop has the money again."""
        ...


def order_id_of(kind: str, order: Order) -> str:
    """Return the id under which a kind's refunds name an order."""
    return {
        "stripe": f"pi_{order.number}",
        "tebex": f"tbx-{order.number}",
        "ko-fi": f"kofi-{order.number}",
        "standard-webhooks": f"polar-{order.number}",
        "paddle": f"txn_{order.number}",
        "gumroad": f"sale-{order.number}==",
        "square": f"sq-{order.number}",
    }.get(kind, str(order.number))


def _json(value: Any) -> bytes:  # noqa: ANN401 -- whatever JSON holds
    return json.dumps(value, separators=(",", ":")).encode()


def _id(order: Order) -> str | None:
    return str(order.discord_id) if order.discord_id is not None else None


class Stripe:
    """Stripe: events with the object as it is then."""

    def _event(self, order: Order, name: str, topic: str, thing: dict[str, Any]) -> bytes:
        return _json(
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
            "client_reference_id": _id(order),
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


class Shopify:
    """Shopify: orders, refunds and disputes, each a body of its own."""

    def paid(self, order: Order) -> bytes:
        """Report a paid order."""
        attributes = [{"name": "discord_id", "value": _id(order)}] if order.discord_id is not None else []
        return _json(
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
        return _json(
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
        return _json(
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


class WooCommerce:
    """WooCommerce: always the whole order, with its status and its refunds so far. It knows no disputes."""

    def _order(self, order: Order, status: str, refunds: list[Refund]) -> bytes:
        meta = [{"id": 1, "key": "_wcpay_mode", "value": "test" if order.is_test else "prod"}]
        if order.discord_id is not None:
            meta.append({"id": 2, "key": "discord_id", "value": str(order.discord_id)})
        return _json(
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

    def disputed(self, _order: Order) -> None:
        """Report nothing."""

    def dispute_won(self, _order: Order) -> None:
        """Report nothing."""


class Tebex:
    """Tebex: payments. A refund is always of the whole payment."""

    def _event(self, order: Order, topic: str) -> bytes:
        custom = {"discord_id": _id(order)} if order.discord_id is not None else None
        return _json(
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


class KoFi:
    """Ko-fi: a form with a field of JSON. It reports payments only."""

    def __init__(self, token: str) -> None:
        self._token = token

    def paid(self, order: Order) -> bytes:
        """Report an order of the shop."""
        number = "00000000-1111-2222-3333-444444444444" if order.is_test else f"kofi-{order.number}"
        data = {
            "verification_token": self._token,
            "message_id": f"message-{order.number}",
            "timestamp": order.moment,
            "type": "Shop Order",
            "is_public": False,
            "from_name": "A buyer",
            "message": None if order.discord_id is None else f"I am {order.discord_id}",
            "amount": decimal(order.total_cents),
            "currency": order.currency,
            "email": order.email,
            "kofi_transaction_id": number,
        }
        return urlencode({"data": json.dumps(data)}).encode()

    def refunded(self, _order: Order, _refund: Refund) -> None:
        """Report nothing."""

    def disputed(self, _order: Order) -> None:
        """Report nothing."""

    def dispute_won(self, _order: Order) -> None:
        """Report nothing."""
