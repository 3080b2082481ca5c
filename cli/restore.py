"""`restore`: puts a checked backup in the ledger's place, and shows what the audit channel knows that it does not."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import anyio
import typer

from cashback.background.running_bot import BotRunningError, require_stopped
from cashback.cogs.gateway import posted_heads
from cashback.cogs.gateway.connection import point_at
from cashback.cogs.gateway.posted_heads import PostedHead
from cashback.database import Database, audit_log, schema
from cashback.database.integrity import restoring
from cashback.database.integrity.restoring import Prepared
from cashback.domain.errors import CashbackError
from cashback.settings import Settings
from cli.context import Place, ledger
from cli.options import ConfigOption, DatabaseOption, JsonOption, parse_digest
from cli.output import UsageError, progress, remark, say, say_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The heads that were compared, and those that the backup lacks; `trouble` says why the channel was not read."""

    compared: int
    missing: tuple[PostedHead, ...]
    trouble: str | None

    @property
    def batches(self) -> list[str]:
        """The batches that were paid after the backup, as the audit channel has them."""
        return [head.batch for head in self.missing if head.batch is not None]


def command(
    context: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")],
    heads: Annotated[
        list[str] | None,
        typer.Option("--head", metavar="DIGEST", parser=parse_digest, help="Also look for this head of the audit log."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
) -> int:
    """Check a backup, compare it with the audit channel, ask, and put it in the ledger's place."""
    if as_json and not yes:
        raise UsageError("--json cannot ask; give --yes with it.")
    settings = Place.of(context, config, database).settings()
    target = ledger(settings)
    anyio.run(_require_stopped, target)
    with progress("Checking the backup", None):
        prepared = anyio.run(restoring.prepare, file.absolute(), target.path, target.now())
    try:
        comparison = anyio.run(_compare, settings, prepared, heads or [])
        if not as_json:
            say(f"{file} is sound and its books balance. Audit head: {prepared.audit_head}", *_lines(comparison))
        if not yes and not _confirmed(target.name):
            say("Nothing was restored.")
            return 0
        aside = restoring.replace(prepared, target.path, target.now())
    finally:
        restoring.discard(prepared.path)
    _report(file, target.name, prepared, comparison, aside, as_json=as_json)
    return 0


async def _require_stopped(target: Database) -> None:
    """Raise BotRunningError if a bot pays from the ledger. One that is missing or cannot be read has no bot."""
    try:
        if schema.may_hold_tables(target.location):
            await require_stopped(target.location)
    except BotRunningError:
        raise
    except CashbackError:
        return


async def _compare(settings: Settings, prepared: Prepared, digests: list[str]) -> Comparison:
    """Look in the backup for each head that was kept elsewhere."""
    heads = [PostedHead(digest=digest, batch=None) for digest in digests]
    trouble = None
    channel_id = settings.logging_channels.audit
    if settings.discord_token is None or channel_id is None:
        trouble = "the token or logging_channels.audit is not configured"
    else:
        if settings.discord_api_url is not None:
            point_at(settings.discord_api_url)
        try:
            heads += await posted_heads.read(settings.discord_token.get_secret_value(), channel_id)
        except CashbackError as error:
            trouble = str(error).rstrip(".")
    async with Database(prepared.path, must_exist=True) as restored:
        missing = [head for head in heads if await restored.read(audit_log.find_head, head.digest) is None]
    return Comparison(compared=len(heads), missing=tuple(missing), trouble=trouble)


def _lines(comparison: Comparison) -> list[str]:
    lines = []
    if comparison.missing:
        lines.append(
            f"Heads of the audit log kept elsewhere: {comparison.compared}; the backup lacks {len(comparison.missing)},"
            " so something was recorded after it."
        )
        lines += [f"  Paid after the backup: {batch}" for batch in comparison.batches]
    elif comparison.compared:
        lines.append(f"Heads of the audit log kept elsewhere: {comparison.compared}; the backup has them all.")
    if comparison.trouble:
        lines.append(f"The audit channel was not compared: {comparison.trouble}. Compare it by hand before you pay.")
    return lines


def _confirmed(name: str) -> bool:
    if sys.stdin is None:
        return False
    try:
        return typer.confirm(f"Put it in the place of {name}?", default=False)
    except (typer.Abort, KeyboardInterrupt, EOFError):
        return False


def _report(
    file: Path, name: str, prepared: Prepared, comparison: Comparison, aside: Path | None, *, as_json: bool
) -> None:
    if as_json:
        say_json(
            {
                "database": name,
                "file": str(file.absolute()),
                "ledger_id": prepared.ledger_id,
                "schema_before": prepared.schema_before,
                "audit_head": prepared.audit_head,
                "before": str(aside.absolute()) if aside else None,
                "heads_compared": comparison.compared,
                "heads_missing": [head.digest for head in comparison.missing],
                "paid_after": comparison.batches,
                "audit_channel": comparison.trouble or "compared",
            }
        )
        return
    say(f"Database {name} is restored.", *[f"{aside} holds the ledger as it was before."] if aside else [])
    remark(
        "the schedule is paused, open proposals are cancelled and unfinished batches are stopped. What was paid after"
        " the backup counts as unpaid in it: settle that first, then `cashback schedule resume`."
    )
