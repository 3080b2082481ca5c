"""The shop systems whose deliveries are understood, one module for each."""

from collections.abc import Mapping
from typing import Final

from cashback.shops.webhooks import (
    api,
    gumroad,
    ko_fi,
    lemon_squeezy,
    paddle,
    shopify,
    square,
    standard_webhooks,
    stripe,
    tebex,
    woocommerce,
)
from cashback.shops.webhooks.kind import WebhookKind

KINDS: Final[Mapping[str, WebhookKind]] = {
    module.KIND.name: module.KIND
    for module in (
        *(stripe, shopify, woocommerce, tebex, ko_fi, standard_webhooks),
        *(lemon_squeezy, paddle, gumroad, square, api),
    )
}
