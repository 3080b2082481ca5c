"""The options that commands share, and how their values are read. Imports only Typer until a value is given.

A value that is not valid is a clear error (exit code 1), not wrong usage: the command was understood.
"""

# ruff: noqa: PLC0415 -- `--help` must not wait for the database package
import re
from pathlib import Path
from typing import Annotated, Final

import typer

DIGEST_DIGITS: Final = 64


def parse_id(text: str) -> int:
    """Read a Discord id."""
    from cashback.shops.ids import to_id

    return to_id(text)


def parse_shop(text: str) -> str:
    """Read a shop's name: letters, digits, hyphens and underscores."""
    from cashback.domain.errors import CashbackError

    name = text.strip().lower()
    if not re.fullmatch("[a-z0-9][a-z0-9_-]{0,39}", name):
        raise CashbackError(f"{text[:40]!r} is not a shop's name: up to 40 letters, digits, hyphens and underscores.")
    return name


def parse_digest(text: str) -> str:
    """Read a digest of the audit log, as it stands in the audit channel."""
    from cashback.domain.errors import CashbackError

    digest = text.strip().strip("`").lower()
    if len(digest) != DIGEST_DIGITS or not set(digest) <= set("0123456789abcdef"):
        raise CashbackError(f"{text!r} is not a valid audit head: expected {DIGEST_DIGITS} hexadecimal digits.")
    return digest


ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The configuration; otherwise CASHBACK_CONFIG, then config.json."),
]
DatabaseOption = Annotated[
    str | None,
    typer.Option("--database", metavar="FILE", help="The ledger; otherwise CASHBACK_DATABASE, then cashback.db."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
UserOption = Annotated[int | None, typer.Option("--user", metavar="ID", parser=parse_id, help="Only this member.")]
MemberArgument = Annotated[int, typer.Argument(metavar="ID", parser=parse_id, help="The member's Discord id.")]
LimitOption = Annotated[int, typer.Option("--limit", metavar="N", min=1, max=100_000, help="Show at most N.")]
BatchArgument = Annotated[str, typer.Argument(metavar="BATCH-ID", help="The batch's ID, or its number.")]
OrderArgument = Annotated[str, typer.Argument(metavar="ORDER-ID", help="The shop's id of the order.")]
ReasonOption = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="The reason; the audit log keeps it.")
]
SinceOption = Annotated[
    str | None, typer.Option("--from", metavar="DAY", help="From this day, for example 2026-07-03.")
]
UntilOption = Annotated[str | None, typer.Option("--to", metavar="DAY", help="Up to and including this day.")]
PortOption = Annotated[int, typer.Option("--port", min=0, max=65_535, help="The port; 0 is any free one.")]
OnlyOption = Annotated[
    list[int] | None,
    typer.Option("--only", metavar="ID", parser=parse_id, help="Pay only this member; repeat it for more."),
]
ExcludeOption = Annotated[
    list[int] | None,
    typer.Option("--exclude", metavar="ID", parser=parse_id, help="Do not pay this member; repeat it for more."),
]
_APPROVER = typer.Option(
    "--approved-by", metavar="ID", parser=parse_id, help="The second admin, if the batch needs two."
)
ApproverOption = Annotated[int | None, _APPROVER]
SecondApproverOption = Annotated[int, _APPROVER]
