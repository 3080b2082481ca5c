"""A copy of the ledger, with what the model and the members knew when it was made."""

import sqlite3
from copy import deepcopy
from dataclasses import dataclass
from typing import Self

from verification.simulation.discord_model import DirectMessage, DiscordModel, Settlement
from verification.simulation.ledger_model import LedgerModel

Seen = dict[int, list[DirectMessage]]


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy in memory."""

    rows: sqlite3.Connection
    model: LedgerModel
    seen: Seen
    settled: dict[int, Settlement]

    @classmethod
    def make(cls, rows: sqlite3.Connection, discord: DiscordModel) -> Self:
        """Copy the ledger. No process may run."""
        copy = sqlite3.connect(":memory:")
        rows.backup(copy)
        return cls(copy, deepcopy(discord.model), _copied(discord.seen), dict(discord.settled))

    def restore(self, rows: sqlite3.Connection, discord: DiscordModel) -> LedgerModel:
        """Put the copy back, and return the model of it: whatever came after it never was."""
        self.rows.backup(rows)
        discord.model = deepcopy(self.model)
        discord.seen, discord.settled = _copied(self.seen), dict(self.settled)
        return discord.model


def _copied(seen: Seen) -> Seen:
    return {number: list(messages) for number, messages in seen.items()}
