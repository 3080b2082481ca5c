"""Ko-fi: a form with a field of JSON. It reports payments only."""

import json
from urllib.parse import urlencode

from sandbox.shop.orders import Order, decimal
from sandbox.shop.system import FORM, ShopSystem


class KoFi(ShopSystem):
    """Ko-fi: a form with a field of JSON. It reports payments only."""

    content_type = FORM

    def paid(self, order: Order) -> bytes:
        """Report an order of the shop."""
        number = "00000000-1111-2222-3333-444444444444" if order.is_test else f"kofi-{order.number}"
        data = {
            "verification_token": self.secret.decode(),
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

    def order_id(self, order: Order) -> str:
        """Return the id under which refunds name an order."""
        return f"kofi-{order.number}"
