"""Events for other programs: signed requests to the webhooks that the configuration names."""

from cashback.events.dispatcher import EventDispatcher
from cashback.events.sender import EventSender

__all__ = ["EventDispatcher", "EventSender"]
