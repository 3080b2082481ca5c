"""The services that the buttons act through."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import discord

from cashback.background.wakeup import WakeUp
from cashback.cogs.gateway.claims import Claims
from cashback.cogs.member_facts import MemberFacts
from cashback.database import Database
from cashback.services import AdminService


class Notes(Protocol):
    """Sends notes to members."""

    def enqueue(self, user_id: int, write: Callable[[], discord.Embed], *, cause: object) -> None:
        """Queue a note and return at once. `write` returns it, in the language of the member that gets it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ButtonServices:
    """Passed to each press. `post_line` posts a line in the audit channel."""

    claims: Claims
    database: Database
    service: AdminService
    summaries_changed: WakeUp
    member_facts: MemberFacts
    note_sender: Notes
    post_line: Callable[[str], Awaitable[None]]
