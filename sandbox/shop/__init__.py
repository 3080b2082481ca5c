"""A small shop that sends deliveries as the real shop systems do, signed. It imports nothing of ours."""

from sandbox.shop.orders import Order
from sandbox.shop.page import Connection, ShopPage
from sandbox.shop.senders import KINDS, Request, Sender, sender_of

__all__ = ["KINDS", "Connection", "Order", "Request", "Sender", "ShopPage", "sender_of"]
