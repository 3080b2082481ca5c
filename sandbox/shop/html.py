"""The page of a shop: buy, refund, dispute, and send deliveries again."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from sandbox.shop.deliveries import Delivery
from sandbox.shop.orders import decimal

EVENTS: Final = {
    "paid": "paid",
    "part": "half refunded",
    "rest": "refunded",
    "disputed": "disputed",
    "won": "dispute won",
}
"""What can be reported of an order, and its name."""

_PAGE: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sample shop</title>
<style>body{{font:1.1rem/1.6 system-ui;max-width:50rem;margin:3rem auto;padding:0 1rem}}button,input{{font:inherit}}
form{{display:inline}}</style>
<h1>Sample shop</h1><p>It delivers as: {shops}</p><p>A rank for ${price}. {buyer}</p>
<form method="post" action="{buy}"><button>Buy</button>
<label>e-mail <input name="email" type="email" placeholder="buyer@example.com"></label>
<label><input name="test" type="checkbox"> as a test</label>
<label><input name="hold" type="checkbox"> hold the delivery back</label></form>
<h2>Orders</h2><ul>{orders}</ul>
<h2>Deliveries</h2><p>Send them in any order, and as often as you like; what is not answered well is tried again.</p>
<ol>{deliveries}</ol></html>"""


def page(
    shop: str,
    links: Mapping[str, str],
    member_id: int | None,
    price_cents: int,
    orders: Sequence[int],
    deliveries: Sequence[Delivery],
) -> str:
    """Write the page of a shop; `links` are the addresses of all shops, with the member's id if there is one."""
    query = links[shop].partition("?")[2]

    def button(path: str, name: str, *, may_hold: bool = False) -> str:
        hold = ' <button name="hold" value="1">(held back)</button>' if may_hold else ""
        action = escape(f"/{shop}/{path}?{query}")
        return f'<form method="post" action="{action}"><button>{escape(name)}</button>{hold}</form>'

    rows = [
        f"<li>#{number} "
        + " ".join(
            button(f"orders/{number}/{event}", name, may_hold=True) for event, name in EVENTS.items() if event != "paid"
        )
        + "</li>"
        for number in orders
    ]
    sent = [
        f"<li>{escape(one.name)}: {escape(one.answer)}, {one.attempts} sent "
        f"{button(f'deliveries/{one.number}', 'Send again' if one.attempts else 'Send')}</li>"
        for one in deliveries
    ]
    names = [
        f'<a href="{escape(link)}">{escape(name)}</a>' if name != shop else escape(name) for name, link in links.items()
    ]
    return _PAGE.format(
        shops=", ".join(names),
        price=decimal(price_cents),
        buyer="You came without a member's link." if member_id is None else f"You came by the link of {member_id}.",
        buy=escape(f"/{shop}/buy?{query}"),
        orders="".join(rows),
        deliveries="".join(sent),
    )
