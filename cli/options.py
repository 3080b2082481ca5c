"""The options that commands share, and how their values are read. Imports only Typer until a value is there.

A value that is none is a clear error (exit code 1), not wrong usage: the command was understood.
"""

# ruff: noqa: PLC0415 -- `--help` must not wait for the database package
from pathlib import Path
from typing import Annotated, Final

import typer

DIGEST_DIGITS: Final = 64


def parse_id(text: str) -> int:
    """Read a Discord id."""
    from cashback.shops.ids import to_id

    return to_id(text)


def parse_amount(text: str) -> int:
    """Read an amount in dollars as cents."""
    from cashback.domain.money import parse_dollars

    return parse_dollars(text)


def parse_digest(text: str) -> str:
    """Read a digest of the audit log, as it stands in the audit channel."""
    from cashback.domain.errors import CashbackError

    digest = text.strip().strip("`").lower()
    if len(digest) != DIGEST_DIGITS or not set(digest) <= set("0123456789abcdef"):
        raise CashbackError(f"The head {text!r} is none: it has {DIGEST_DIGITS} hexadecimal digits.")
    return digest


ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="The configuration; else CASHBACK_CONFIG, config.json.")
]
DatabaseOption = Annotated[
    str | None, typer.Option("--database", metavar="FILE", help="The ledger; else CASHBACK_DATABASE, cashback.db.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
UserOption = Annotated[int | None, typer.Option("--user", metavar="ID", parser=parse_id, help="Only this member.")]
MemberArgument = Annotated[int, typer.Argument(metavar="ID", parser=parse_id, help="The member's Discord id.")]
LimitOption = Annotated[int, typer.Option("--limit", metavar="N", min=1, max=100_000, help="List at most so many.")]
BatchArgument = Annotated[str, typer.Argument(metavar="BATCH-ID", help="The batch's ID, or its number.")]
ReasonOption = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; it is kept.")]
OnlyOption = Annotated[
    list[int] | None, typer.Option("--only", metavar="ID", parser=parse_id, help="Only these members; repeat it.")
]
ExcludeOption = Annotated[
    list[int] | None, typer.Option("--exclude", metavar="ID", parser=parse_id, help="Everyone but these; repeat it.")
]
_APPROVER = typer.Option("--approved-by", metavar="ID", parser=parse_id, help="The other admin, if two must approve.")
ApproverOption = Annotated[int | None, _APPROVER]
SecondApproverOption = Annotated[int, _APPROVER]
