"""The ledger: all SQL of the program. `Database` is its one door."""

from cashback.database.database import Database

__all__ = ["Database"]
