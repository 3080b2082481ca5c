"""The ledger: all SQL of the program, behind `Database`."""

from cashback.database.database import Database

__all__ = ["Database"]
