"""A member's own link to a shop: the shop's address with the member's id, which the checkout carries into the order."""

from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

PLACEHOLDER: Final = "{discord_id}"


def member_link(link: str, parameter: str | None, member_id: int) -> str | None:
    """Return a shop's address with the member's id; None if the shop system has no place for it in an address.

    The id stands where the address says {discord_id}; otherwise it is added as the shop system's own parameter.
    """
    encoded = quote(PLACEHOLDER)
    if PLACEHOLDER in link or encoded in link:
        return link.replace(PLACEHOLDER, str(member_id)).replace(encoded, str(member_id))
    if parameter is None:
        return None
    parts = urlsplit(link)
    pairs = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != parameter]
    return urlunsplit(parts._replace(query=urlencode([*pairs, (parameter, str(member_id))], safe="[]")))
