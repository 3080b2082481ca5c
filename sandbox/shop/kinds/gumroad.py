"""Gumroad: forms. A refund says only that all of the sale was refunded."""

from urllib.parse import urlencode

from sandbox.shop.orders import Order, Refund
from sandbox.shop.system import FORM, ShopSystem


class Gumroad(ShopSystem):
    """Gumroad: forms. A refund says only that all of the sale was refunded."""

    content_type = FORM

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

    def order_id(self, order: Order) -> str:
        """Return the id under which refunds name an order."""
        return f"sale-{order.number}=="

    @property
    def query(self) -> str:
        """Return what the shop's owner added to the address."""
        return f"?secret={self.secret.decode()}"
