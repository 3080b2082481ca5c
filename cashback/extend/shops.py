"""The points to build on for shops: a file format is a `FileKind`, a shop system that sends deliveries a `WebhookKind`.

A package names its kinds as entry points of the group `cashback.shops`. What may change: docs/reference/extending.md.
"""

from cashback.domain.shop_events import EventKind, ShopEvent
from cashback.shops.kinds.kind import FileKind, Lines, Place, Rule
from cashback.shops.webhooks.fields import Fields, buyer_of
from cashback.shops.webhooks.kind import (
    Counts,
    Delivery,
    Reading,
    StaleError,
    UnreadableError,
    UnverifiedError,
    WebhookKind,
)

__all__ = [
    "Counts",
    "Delivery",
    "EventKind",
    "Fields",
    "FileKind",
    "Lines",
    "Place",
    "Reading",
    "Rule",
    "ShopEvent",
    "StaleError",
    "UnreadableError",
    "UnverifiedError",
    "WebhookKind",
    "buyer_of",
]
