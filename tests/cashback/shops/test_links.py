"""A member's link carries the id as each shop system reads it."""

import pytest

from cashback.shops.links import member_link
from cashback.shops.webhooks import KINDS


@pytest.mark.parametrize(
    ("link", "kind", "expected"),
    [
        ("https://buy.stripe.com/x", "stripe", "https://buy.stripe.com/x?client_reference_id=22"),
        ("https://buy.stripe.com/x?a=1", "stripe", "https://buy.stripe.com/x?a=1&client_reference_id=22"),
        ("https://buy.stripe.com/x?client_reference_id=7", "stripe", "https://buy.stripe.com/x?client_reference_id=22"),
        ("https://s.example/cart/5:1", "shopify", "https://s.example/cart/5:1?attributes[discord_id]=22"),
        ("https://s.example/buy/1", "lemon-squeezy", "https://s.example/buy/1?checkout[custom][discord_id]=22"),
        ("https://s.example/l/a#top", "gumroad", "https://s.example/l/a?discord_id=22#top"),
        ("https://s.example/?member={discord_id}", "tebex", "https://s.example/?member=22"),
        ("https://s.example/{discord_id}/", "woocommerce", "https://s.example/22/"),
        ("https://s.example/?m=%7Bdiscord_id%7D", "square", "https://s.example/?m=22"),
        ("https://ko-fi.com/someone", "ko-fi", None),
    ],
)
def test_member_link(link: str, kind: str, expected: str | None) -> None:
    assert member_link(link, KINDS[kind].parameter, 22) == expected
