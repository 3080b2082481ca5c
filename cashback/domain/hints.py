"""Hints by which the buyer of a waiting order can prove it: hashes, never the e-mail or the number themselves."""

import hashlib
import hmac

from cashback.domain.earning import order_key


def email_hash(key: str, email: str) -> str:
    """Return an e-mail's keyed hash; letters' case does not matter."""
    return hmac.new(key.encode(), email.strip().lower().encode(errors="replace"), hashlib.sha256).hexdigest()


def number_hash(shop: str, number: str) -> str:
    """Return the hint of an order's number. It is no secret: the order itself is stored by its id."""
    return hashlib.sha256(f"{shop}\0{order_key(number)}".encode(errors="replace")).hexdigest()
