"""The kinds of files that are recognised by their header, one module for each shop."""

from collections.abc import Collection
from typing import Final

from cashback.shops.kinds import etsy, gumroad, ko_fi, patreon, paypal, shopify, stripe, woocommerce
from cashback.shops.kinds.kind import FileKind

KINDS: Final = (
    shopify.ORDERS,
    stripe.PAYMENTS,
    etsy.ORDERS,
    etsy.ITEMS,
    paypal.ACTIVITY,
    gumroad.SALES,
    ko_fi.TRANSACTIONS,
    woocommerce.ANALYTICS,
    patreon.MEMBERS,
)


def recognise(columns: Collection[str]) -> FileKind | None:
    """Return the kind whose columns a header has, None for a file of no known shop."""
    present = set(columns)
    return next((kind for kind in KINDS if kind.identified_by <= present), None)
