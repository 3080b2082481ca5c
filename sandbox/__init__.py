"""A local Discord on loopback: REST v10, Gateway and a chat page on one port, for demos, tests and development.

It imports nothing of the program that it serves, so its only possible errors are about Discord. Start it with `python
-m sandbox`, or in a test with `async with Sandbox() as sandbox:`.
"""

from sandbox.answers import Answer, AnswerKind, Interaction, InteractionKind
from sandbox.channel_types import ChannelType
from sandbox.clock import ManualClock
from sandbox.errors import SandboxError
from sandbox.model import Attachment, Button, Channel, Member, Message, Role
from sandbox.server import RequestRecord, Sandbox

__all__ = [
    "Answer",
    "AnswerKind",
    "Attachment",
    "Button",
    "Channel",
    "ChannelType",
    "Interaction",
    "InteractionKind",
    "ManualClock",
    "Member",
    "Message",
    "RequestRecord",
    "Role",
    "Sandbox",
    "SandboxError",
]
